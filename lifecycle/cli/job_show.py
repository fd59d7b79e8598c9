"""`capctl job show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import job_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.ids import job_argument
from lifecycle.cli.render import fields, time_text

if TYPE_CHECKING:
    from lifecycle.workflows.jobs import JobView


@click.command()
@job_argument
@pass_invocation
def command(invocation: Invocation, job_id: str) -> None:
    """Show where a job is, why, and what to do about it."""
    from lifecycle.workflows.jobs import show_job

    view = show_job(invocation.app, job_id)
    invocation.emit("capctl.job-view/1", job_documents.job_view(view), lambda: _text(view))


def _text(view: JobView) -> str:
    job, account = view.job, view.account
    told = (("why", account.why), ("said", view.said), ("next", account.next))
    return fields(
        [
            ("job", job.id),
            ("name", job.name),
            ("state", f"{job.state}: {account.where}"),
            *((name, text) for name, text in told if text),
            ("exit code", job.exit_code),
            ("attempts", job.attempts),
            ("release", view.release_id or "none of this target"),
            *((("in place of", job.replaces),) if job.replaces else ()),
            ("image", job.image),
            ("submitted", time_text(job.created_ms)),
            ("started", time_text(job.started_ms)),
            ("ended", time_text(job.stopped_ms)),
            ("log", f"capctl job logs {job.id}" if job.log_stream else "none yet"),
        ]
    )
