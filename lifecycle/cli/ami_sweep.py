"""`capctl ami sweep`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lifecycle.cli import ami_removal_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, yes_option
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.workflows.sweep import Swept


@click.command()
@click.option("--run", "run_id", metavar="ID", default="", help="Only what this run left.")
@click.option(
    "--older-than",
    metavar="SPAN",
    default="6h",
    show_default=True,
    help="Minimum age, such as 90s, 30m, 6h or 2d, of what no known run owns; what a dead run of this folder left goes at any age.",
)
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, run_id: str, older_than: str, dry_run: bool) -> None:
    """Remove what killed bakes left behind: instances, incomplete AMIs, volumes, snapshots, key pairs, security groups, local files.

    Never touches what a live bake, a release or another project may need, nor an AMI that `capctl ami bake` can finish, for a day.
    Private folders of your dead bakes on this machine go whichever project's they are: nothing but their bake can use them.
    """
    from lifecycle.domain.moments import parse_span
    from lifecycle.workflows.sweep import sweep

    carry_out = partial(invocation.execute, dry_run=dry_run, ask=True)
    app = invocation.app
    swept = sweep(app, app.target, run_id=run_id, older_than=parse_span(older_than, units="smhd"), carry_out=carry_out)
    if swept:
        document = ami_removal_documents.ami_sweep(swept)
        invocation.emit("capctl.ami-sweep/1", document, lambda: _list(swept), failure=swept.rejection())


def _list(swept: Swept) -> str:
    rows = [
        (outcome, one.item.kind, one.item.id, one.item.name or "-", one.because) for one, outcome in swept.outcomes()
    ]
    return table(("", "kind", "id", "name", "because"), rows, prose=("name", "because")) if rows else ""
