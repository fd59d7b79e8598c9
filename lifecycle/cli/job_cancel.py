"""`capctl job cancel`."""

from __future__ import annotations

import click

from lifecycle.cli import job_documents
from lifecycle.cli.context import Invocation, dry_run_option, pass_invocation, reason_option, yes_option
from lifecycle.cli.ids import job_argument


@click.command()
@job_argument
@reason_option
@dry_run_option
@yes_option
@pass_invocation
def command(invocation: Invocation, job_id: str, dry_run: bool) -> None:
    """End a job in whatever state it is; prints its id.

    A container that runs is told to end, and killed when it has not within half a minute. The job is not tried again.
    """
    from lifecycle.workflows.cancel_job import plan_cancel_job

    plan = plan_cancel_job(invocation.app, invocation.run, job_id)
    if invocation.execute(plan, dry_run=dry_run, ask=True):
        document = job_documents.job_cancellation(invocation.app.jobs.get(job_id), changed=bool(plan.steps))
        invocation.emit("capctl.job-cancellation/1", document, job_id)
