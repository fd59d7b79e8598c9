"""The Pulumi programs: the base stack, and the releases that shall exist."""
