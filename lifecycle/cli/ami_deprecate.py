"""`capctl ami deprecate`."""

from __future__ import annotations

import click

from lifecycle.cli import ami_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option_unless
from lifecycle.cli.render import time_text


@click.command()
@click.argument("ami")
@click.option("--at", metavar="DATE", help="From this time on, in UTC, such as 2027-03-31 or 2027-03-31T18:00Z.")
@click.option("--in", "within", metavar="SPAN", help="From this long after now, such as 36h, 30d or 2w.")
@click.option("--undo", is_flag=True, help="Take the deprecation back.")
@reason_option
@dry_run_option
@yes_option_unless(lambda options: options["dry_run"] or options["undo"])
@pass_invocation
def command(invocation: Invocation, ami: str, at: str | None, within: str | None, undo: bool, dry_run: bool) -> None:
    """Deprecate AMI, an id or a channel, from a time on; prints that time, to the minute.

    Nothing stops working: who names the AMI can still launch it. Other accounts no longer see it when they list AMIs.
    """
    from lifecycle.workflows.deprecate_ami import asked_moment, plan_deprecate
    from lifecycle.workflows.lookups import ami_of

    app, ami_id = invocation.app, ami_of(invocation.app, ami)
    plan = plan_deprecate(app, app.target, ami_id, asked_moment(app.clock, at=at, within=within, undo=undo))
    if invocation.execute(plan, dry_run=dry_run, ask=not undo):
        found = app.amis.get(ami_id)
        document = ami_documents.ami_deprecation(found, changed=bool(plan.steps))
        invocation.emit("capctl.ami-deprecation/1", document, time_text(found.deprecated_at))
