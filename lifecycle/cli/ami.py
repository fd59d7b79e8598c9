"""`capctl ami`."""

import click

from lifecycle.cli.groups import NounGroup

_VERBS = (
    "bake",
    "channels",
    "copy",
    "deprecate",
    "diff",
    "disable",
    "ls",
    "promote",
    "prune",
    "share",
    "show",
    "sweep",
    "verify",
)


@click.group(cls=NounGroup, verbs={verb: f"lifecycle.cli.ami_{verb}" for verb in _VERBS})
def command() -> None:
    """Bake, verify, promote, copy, share and remove AMIs.

    Where a command takes AMI, give an AMI id or the name of a channel.
    """
