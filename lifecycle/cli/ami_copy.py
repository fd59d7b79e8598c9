"""`capctl ami copy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.workflows.copy_ami import Copy


@click.command()
@click.argument("ami")
@click.option(
    "--to-region", "regions", metavar="REGION", multiple=True, required=True, help="Region to copy to; repeatable."
)
@reason_option
@dry_run_option
@pass_invocation
def command(invocation: Invocation, ami: str, regions: tuple[str, ...], dry_run: bool) -> None:
    """Copy a verified AMI, an id or a channel, to other regions and verify each copy; prints one line per region.

    After an interruption the same command goes on from what exists. A failure in one region does not stop the others; the exit code is 6
    when only some succeeded. Set `CAPCTL_REGION` to see a copy with the other commands.
    """
    from lifecycle.workflows.copy_ami import copy_ami, copy_failure, parse_regions, plan_copies
    from lifecycle.workflows.lookups import ami_of

    app, run, ami_id = invocation.app, invocation.run, ami_of(invocation.app, ami)
    wanted = parse_regions(regions, app.target)
    if dry_run:
        invocation.execute(plan_copies(app, app.target, run, ami_id, wanted), dry_run=True)
        return
    copies = copy_ami(app, app.target, run, ami_id, wanted, carry_out=invocation.execute)
    document = ami_documents.ami_copy(ami_id, app.target.region, copies)
    invocation.emit("capctl.ami-copy/1", document, lambda: _rows(copies), failure=copy_failure(copies))


def _rows(copies: tuple[Copy, ...]) -> str:
    rows = [
        (
            copy.region,
            copy.ami.id if copy.ami else "-",
            copy.failure.code if copy.failure else copy.ami and copy.ami.status,
        )
        for copy in copies
    ]
    return table(("region", "ami", "result"), rows, prose=("result",))
