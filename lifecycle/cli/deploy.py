"""`capctl deploy`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option

if TYPE_CHECKING:
    from lifecycle.domain.plan import Done
    from lifecycle.domain.release import Pointer


@click.command()
@click.option("--ami", help="AMI id; the newest verified AMI of the project when absent.")
@click.option(
    "--image",
    help="Image by digest, whole or as `status` shows it; the pushed image of the working tree's code when absent.",
)
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, ami: str | None, image: str | None, dry_run: bool) -> None:
    """Create a release, run a real job on it, move the pointer to it.

    When the job fails its checks the release is removed and the pointer stays where it was: exit code 7. Without capacity nothing
    is decided: exit code 3. That, and any other trouble that says nothing about the release, leaves it for the same command to go on.
    """
    from lifecycle.workflows.deploy import Wanted, plan_deploy
    from lifecycle.workflows.lookups import active_pointer

    app = invocation.app
    plan = plan_deploy(app, app.target, invocation.run, Wanted(ami=ami, image=image))
    if done := invocation.execute(plan, dry_run=dry_run, ask=True):
        pointer = active_pointer(app)
        invocation.emit("capctl.deployment/1", _document(done, pointer), pointer.release_id)


def _document(done: Done, pointer: Pointer) -> dict[str, Any]:
    from lifecycle.workflows.smoke import Smoke

    report = done.of(Smoke)
    return {
        "release": pointer.release_id,
        "changed": bool(done.results),
        "pointer": asdict(pointer),
        "warnings": [failure.message for _, failure in done.failures],
        "smoke": report.document() if report else None,
    }
