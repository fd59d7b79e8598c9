"""`capctl ami ls`."""

from __future__ import annotations

from functools import partial

import click

from lifecycle.cli import ami_documents, ami_text
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.domain.ami_status import AmiStatus


@click.command()
@click.option(
    "--status",
    type=click.Choice([status.value for status in AmiStatus]),
    help="Only AMIs of this status.",
)
@pass_invocation
def command(invocation: Invocation, status: str | None) -> None:
    """List the project's AMIs in the target's region, newest first, with cost per month and the releases and channels that use them."""
    from lifecycle.workflows.list_amis import list_amis

    app = invocation.app
    with app.ui.step("read the AMIs, the releases and the channels"):
        found = list_amis(app, app.target, status=AmiStatus(status) if status else None)
    nothing = (
        f"Project `{app.target.project}` has no AMIs{f' that are `{status}`' if status else ''} in {app.target.region}"
    )
    table = partial(ami_text.ami_table, found)
    invocation.emit("capctl.ami-list/1", ami_documents.ami_list(found), table, nothing=nothing)
    ami_text.warn_unread(invocation, found.unread)
