"""`capctl job move`."""

from __future__ import annotations

import click

from lifecycle.cli import job_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option
from lifecycle.cli.ids import release_argument


@click.command()
@release_argument
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, release_id: str, dry_run: bool) -> None:
    """Give the jobs that wait on a release to the active one; prints the old and the new id of each.

    Each is cancelled, and submitted again once Batch says that it will not run: with its name, variables, tags and time limit. Jobs that
    have started run to their end where they are. A move that was cut off is finished by the same command.
    """
    from lifecycle.workflows.lookups import active_pointer
    from lifecycle.workflows.move_jobs import Moved, MoveJobs, plan_move_jobs

    app = invocation.app
    with app.ui.step("read the jobs that wait"):
        plan = plan_move_jobs(app, app.target.project, invocation.run, release_id)
    if done := invocation.execute(plan, dry_run=dry_run, ask=True):
        moved = done.find(MoveJobs) or Moved(to=active_pointer(app).release_id)
        document = job_documents.job_move(release_id, moved)
        pairs = (f"{job.id} -> {new_id}" for job, new_id in moved.pairs)
        invocation.emit("capctl.job-move/1", document, "\n".join(pairs))
