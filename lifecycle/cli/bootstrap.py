"""`capctl bootstrap`."""

from __future__ import annotations

from dataclasses import asdict

import click

from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation
from lifecycle.cli.render import table


@click.command()
@dry_run_option
@pass_invocation
def command(invocation: Invocation, dry_run: bool) -> None:
    """Create or update the base stack of the target.

    Bucket, image repository, pointer table, log group and roles: what all releases share. Does nothing when all is there.
    """
    from lifecycle.workflows.bootstrap import plan_bootstrap

    plan = plan_bootstrap(invocation.app)
    if invocation.execute(plan, dry_run=dry_run):
        outputs = asdict(invocation.app.stack.base())
        document = {**outputs, "changed": bool(plan.steps)}
        invocation.emit("capctl.base/1", document, lambda: table(("output", "value"), outputs.items()))
