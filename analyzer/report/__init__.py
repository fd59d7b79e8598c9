"""A page that shows one result: a single HTML file that reads nothing else."""
