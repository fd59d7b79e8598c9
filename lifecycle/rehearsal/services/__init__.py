"""The other servers of a rehearsal: a container registry and a PostgreSQL with pgvector."""
