"""The stage set on which the whole life of a release runs without an AWS account."""
