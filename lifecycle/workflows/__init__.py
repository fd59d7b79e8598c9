"""One verb per file: read the world, return a plan; `execute` runs it."""
