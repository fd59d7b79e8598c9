"""`capctl ami show`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents, ami_text
from lifecycle.cli.context import Invocation, pass_invocation


@click.command()
@click.argument("ami")
@pass_invocation
def command(invocation: Invocation, ami: str) -> None:
    """Show one AMI, an id or a channel: who made it from what, its model files, who uses it, who it is shared with, and what it costs.

    Reads everything in the account that may use it, so it takes longer than `capctl ami ls`.
    """
    from lifecycle.workflows.list_amis import show_ami
    from lifecycle.workflows.lookups import ami_of

    app = invocation.app
    with app.ui.step("read the AMI and everything that may use it"):
        found = show_ami(app, app.target, ami_of(app, ami))
    invocation.emit("capctl.ami/1", ami_documents.ami(found), lambda: ami_text.ami_details(found))
    ami_text.warn_unread(invocation, found.unread)
