"""`capctl deploy`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option
from lifecycle.cli.smoke import smoke_document

if TYPE_CHECKING:
    from lifecycle.domain.plan import Plan
    from lifecycle.domain.release import Pointer


@click.command()
@click.option("--ami", help="AMI id; the newest verified AMI of the project when absent.")
@click.option("--image", help="Image by digest; the pushed image of the working tree's code when absent.")
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, ami: str | None, image: str | None, dry_run: bool) -> None:
    """Create a release, run a real job on it, move the pointer to it.

    When the job fails its checks the release is removed and the pointer stays where it was: exit code 7. Without capacity nothing
    is decided: exit code 3, and the same command goes on later.
    """
    from lifecycle.workflows.deploy import Wanted, plan_deploy

    app = invocation.app
    plan = plan_deploy(app, app.target, invocation.run, Wanted(ami=ami, image=image))
    if invocation.execute(plan, dry_run=dry_run, ask=True):
        pointer = app.pointers.read()
        assert pointer is not None
        invocation.emit("capctl.deployment/1", _document(plan, pointer), pointer.release_id)


def _document(plan: Plan, pointer: Pointer) -> dict[str, Any]:
    from lifecycle.workflows.smoke import Smoke

    reports = [step.report for step in plan.steps if isinstance(step, Smoke) and step.report]
    return {
        "release": pointer.release_id,
        "changed": bool(plan.steps),
        "pointer": asdict(pointer),
        "smoke": smoke_document(reports[0]) if reports else None,
    }
