"""`capctl job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lifecycle.cli import job_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.groups import NounGroup
from lifecycle.cli.ids import job_argument, release_option
from lifecycle.cli.render import table, time_text, value_text
from lifecycle.domain.visible import visible

if TYPE_CHECKING:
    from lifecycle.domain.job import JobRecord
    from lifecycle.ports.jobs import LogLine


@click.group(cls=NounGroup, verbs={verb: f"lifecycle.cli.job_{verb}" for verb in ("cancel", "move", "show")})
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
    invocation.emit("capctl.job/1", job_documents.job(job), job.id)


@command.command()
@release_option
@pass_invocation
def ls(invocation: Invocation, release_id: str | None) -> None:
    """List the jobs of a release, newest first."""
    from lifecycle.workflows.jobs import list_jobs

    jobs = list_jobs(invocation.app, release_id=release_id)
    document = job_documents.job_list(jobs)
    invocation.emit("capctl.job-list/1", document, lambda: _list(jobs), nothing="The release has no jobs")


@command.command()
@job_argument
@click.option("--follow", is_flag=True, help="Go on until the job has ended; exit code 1 when it failed.")
@click.option("--raw", is_flag=True, help="Print each line as the job wrote it.")
@pass_invocation
def logs(invocation: Invocation, job_id: str, follow: bool, raw: bool) -> None:
    """Print what a job wrote.

    Lines that are JSON objects are printed as `level message key=value`, each line with its time, unless `--raw` is given.
    """
    from lifecycle.cli.job_lines import line_text
    from lifecycle.workflows.jobs import follow_log, job_failure, show_log

    lines: list[LogLine] = []

    def show(line: LogLine) -> None:
        lines.append(line)
        if invocation.output == "text":
            click.echo(line.message if raw else visible(line_text(line), lines=True))

    job = (follow_log if follow else show_log)(invocation.app, job_id, show)
    failure = job_failure(job) if follow else None
    invocation.emit("capctl.job-log/1", job_documents.job_log(job, lines), "", failure=failure)


def _environment(variables: tuple[str, ...]) -> dict[str, str]:
    pairs = [variable.partition("=") for variable in variables]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise click.BadParameter(f"`{name}` is not KEY=VALUE", param_hint="--env")
    return {name: value for name, _, value in pairs}


def _list(jobs: tuple[JobRecord, ...]) -> str:
    from lifecycle.domain.job import reason_text

    if not jobs:
        return ""
    rows = [
        (job.id, job.state, value_text(job.exit_code), time_text(job.created_ms), reason_text(job), job.name)
        for job in jobs
    ]
    return table(("id", "state", "exit", "submitted", "reason", "name"), rows, prose=("reason", "name"))
