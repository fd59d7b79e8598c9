"""`capctl rollback`."""

from __future__ import annotations

import click

from lifecycle.cli import documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option
from lifecycle.cli.ids import to_release_option


@click.command()
@to_release_option
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, to: str | None, dry_run: bool) -> None:
    """Move the pointer back to an earlier release.

    One conditional write; jobs that are queued or running finish where they are, unless `capctl job move` gives those that wait to the
    active release. Prints the id of the active release. After a rollback the next one must name its release: the one before the active
    one is then the one that was left.

    The plan, which `--dry-run` prints and a person is asked about, says whether jobs can start there, and who deploys meanwhile. `--yes`
    looks at nothing that could delay the way back; `capctl status` tells it afterwards.
    """
    from lifecycle.workflows.lookups import active_pointer
    from lifecycle.workflows.move_pointer import MovePointer
    from lifecycle.workflows.rollback import plan_rollback
    from lifecycle.workflows.rollback_look import look_ahead

    app = invocation.app
    with app.ui.step("read the releases"):
        plan = plan_rollback(app, invocation.run, to=to)
        plan = look_ahead(app, plan) if dry_run or not invocation.assume_yes else plan
    if done := invocation.execute(plan, dry_run=dry_run, ask=True):
        moved = done.find(MovePointer)
        if moved and (left := moved.previous_release_id) != moved.release_id:
            app.ui.note(
                f"Jobs that wait on release {left} run there; `capctl job move {left}` gives them to {moved.release_id}"
            )
        if moved and invocation.assume_yes:
            app.ui.note(f"Whether release {moved.release_id} takes jobs was not looked at; `capctl status` shows it")
        pointer = moved or active_pointer(app)
        document = documents.rollback(pointer, changed=bool(plan.steps))
        invocation.emit("capctl.rollback/1", document, pointer.release_id)
