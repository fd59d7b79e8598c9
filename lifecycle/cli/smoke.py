"""`capctl smoke`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.render import check_table


@click.command()
@click.option("--release", "release_id", help="Release id; the active release when absent.")
@dry_run_option
@pass_invocation
def command(invocation: Invocation, release_id: str | None, dry_run: bool) -> None:
    """Run a real job on a release and check what it did.

    Checks the image and the AMI that really ran, the tracks found, the models as read inside the container, and the stored rows.
    """
    from lifecycle.workflows.smoke import Smoke, plan_smoke

    app = invocation.app
    plan = plan_smoke(app, app.target, invocation.run, release_id=release_id)
    if done := invocation.execute(plan, dry_run=dry_run):
        report = done.of(Smoke)
        invocation.emit("capctl.smoke/1", documents.smoke(report), lambda: check_table(report.checks))
