"""Commands: parse, call one workflow, render."""
