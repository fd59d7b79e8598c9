"""`capctl image`."""

import click

from lifecycle.cli.groups import NounGroup

_VERBS = ("base", "build", "diff", "explain", "load", "ls", "policy", "prune", "push", "verify")


@click.group(cls=NounGroup, verbs={verb: f"lifecycle.cli.image_{verb}" for verb in _VERBS})
def command() -> None:
    """Build, push and check container images."""
