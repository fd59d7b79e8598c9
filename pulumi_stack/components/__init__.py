"""Groups of resources that belong together, one per file."""
