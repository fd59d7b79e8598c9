"""`capctl job`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.render import table

if TYPE_CHECKING:
    from lifecycle.domain.job import JobRecord
    from lifecycle.ports.jobs import LogLine


@click.group()
def command() -> None:
    """Submit and follow jobs."""


@command.command()
@click.option("--video", required=True, help="Video to analyse, below `videos/` or `samples/` of the target's bucket.")
@click.option("--session", help="Session id, which the stored rows carry; made from the run's id when absent.")
@click.option("--env", "variables", multiple=True, metavar="KEY=VALUE", help="Variable for the container; repeatable.")
@pass_invocation
def submit(invocation: Invocation, video: str, session: str | None, variables: tuple[str, ...]) -> None:
    """Submit a video to the active release; prints the job's id."""
    from lifecycle.workflows.jobs import submit_job

    app, environment = invocation.app, _environment(variables)
    job = submit_job(app, app.target, invocation.run, video_url=video, session_id=session, environment=environment)
    invocation.emit("capctl.job/1", asdict(job), job.id)


@command.command()
@pass_invocation
def ls(invocation: Invocation) -> None:
    """List the jobs of the active release, newest first."""
    from lifecycle.workflows.jobs import list_jobs

    jobs = list_jobs(invocation.app)
    rows = [(job.id, job.state, _exit(job), job.name, _time(job.created_ms), _reason(job)) for job in jobs]
    invocation.emit(
        "capctl.job-list/1",
        {"jobs": [asdict(job) for job in jobs]},
        lambda: table(("id", "state", "exit", "name", "submitted", "reason"), rows),
    )


@command.command()
@click.argument("job_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Go on until the job has ended.")
@pass_invocation
def logs(invocation: Invocation, job_id: str, follow: bool) -> None:
    """Print what a job wrote."""
    from lifecycle.workflows.jobs import follow_log, show_log

    lines: list[LogLine] = []
    read = follow_log if follow else show_log
    if invocation.output == "json":
        read(invocation.app, job_id, lines.append)
        invocation.emit("capctl.job-log/1", {"job": job_id, "lines": [asdict(line) for line in lines]}, "")
    else:
        read(invocation.app, job_id, lambda line: click.echo(_text(line)))


def _environment(variables: tuple[str, ...]) -> dict[str, str]:
    pairs = [variable.partition("=") for variable in variables]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise click.BadParameter(f"`{name}` is not KEY=VALUE", param_hint="--env")
    return {name: value for name, _, value in pairs}


def _exit(job: JobRecord) -> str:
    return "-" if job.exit_code is None else str(job.exit_code)


def _reason(job: JobRecord) -> str:
    """What the container was ended by, where Batch knows it; else why the job is where it is."""
    return job.reason or job.status_reason


def _text(line: LogLine) -> str:
    return f"{_time(line.at_ms)} {line.message}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
