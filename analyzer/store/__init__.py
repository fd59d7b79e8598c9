"""Where rows go: JSON Lines files, or PostgreSQL with pgvector."""
