"""Submit and follow jobs through the pointer."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.job import JobRecord, JobState, contract, state_text
from lifecycle.domain.job_account import JobAccount, job_account, moved_account, no_log_text
from lifecycle.domain.layout import VIDEO_FOLDERS, Folder
from lifecycle.domain.log_text import last_error
from lifecycle.domain.moved_jobs import MovedTo, meant_for
from lifecycle.domain.permissions import (
    READ_JOBS,
    READ_LOGS,
    READ_OBJECTS,
    READ_POINTER,
    READ_QUEUES,
    READ_STATE,
    SUBMIT_JOBS,
)
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, Interrupted, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.jobs import JobRequest, LogLine, LogPage
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.lookups import active_pointer, deployed_release

PERMISSIONS = {
    "job submit": (*READ_POINTER, *READ_OBJECTS, *SUBMIT_JOBS),
    "job ls": (*READ_POINTER, *READ_STATE, *READ_JOBS),
    "job logs": READ_LOGS,
    "job show": (*READ_STATE, *READ_JOBS, *READ_LOGS, *READ_QUEUES),
}

# CloudWatch Logs shows a line a few seconds after it was written; asking more often shows nothing sooner.
_LOG = Wait(shortest_s=2.0, longest_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job, in words too, and the id of its release; None if no release of the target has its queue. `moved` says where it went,
    and `said` is the last error that a job wrote which failed.
    """

    job: JobRecord
    account: JobAccount
    release_id: str | None
    moved: MovedTo | None = None
    said: str = ""


def show_job(ports: Ports, job_id: str) -> JobView:
    """Where a job is, and why."""
    job = ports.jobs.get(job_id)
    queue = ports.jobs.queue_status(job.queue_arn)
    now_ms = int(ports.clock.now().timestamp() * 1000)
    release_id, moved = release_of(ports, job), _moved_to(ports, job)
    account = (
        moved_account(moved, release_id)
        if moved
        else job_account(job, queue.state, now_ms=now_ms, is_open=queue.is_open, gives_hosts=queue.gives_hosts)
    )
    said = last_words(ports, job) if job.state is JobState.FAILED and job.exit_code else ""
    return JobView(job=job, account=account, release_id=release_id, moved=moved, said=said)


def _moved_to(ports: Ports, job: JobRecord) -> MovedTo | None:
    """Where a move brought the job; None for one that was not moved."""
    if not (release_id := meant_for(job)):
        return None
    places = [one.job_queue_arn for one in ports.stack.releases() if one.id == release_id]
    found = (one for queue_arn in places for one in ports.jobs.list(queue_arn, named=job.name))
    return MovedTo(release_id=release_id, job_id=next((one.id for one in found if one.replaces == job.id), ""))


def release_of(ports: Ports, job: JobRecord) -> str | None:
    """The id of the release whose queue the job is in; None if the target has none."""
    return next((each.id for each in ports.stack.releases() if each.job_queue_arn == job.queue_arn), None)


def submit_job(
    ports: Ports, target: Target, run: Run, *, video_url: str, session_id: str | None, environment: dict[str, str]
) -> JobRecord:
    """Submit one video to the active release; the result goes below `results/` in the target's bucket.

    Raises `UsageError("job-invalid" | "video-out-of-reach")`, `CapctlError("video-missing")`.
    """
    pointer = active_pointer(ports)
    session = session_id or f"job-{run.id}"
    wanted = {
        contract.Env.VIDEO_URL.value: video_url,
        contract.Env.SESSION_ID.value: session,
        contract.Env.RESULT_URL.value: target.uri(Folder.RESULTS, session),
        **environment,
    }
    try:
        contract.JobRequest.from_environment(wanted)
    except contract.RequestInvalid as error:
        raise UsageError("job-invalid", f"The container would refuse the job: {error}", hint=error.hint) from error
    video_url = wanted[contract.Env.VIDEO_URL.value]
    require_reachable(target, video_url)
    if ports.objects.find(video_url) is None:
        raise CapctlError(
            "video-missing",
            f"There is no video `{video_url}`",
            hint="Check its name, or copy the video there first",
        )
    request = JobRequest(
        name=f"{target.project}-{session}",
        queue_arn=pointer.job_queue_arn,
        definition_arn=pointer.job_definition_arn,
        environment=wanted,
        tags={Tag.PROJECT: target.project, Tag.RELEASE: pointer.release_id, Tag.RUN: run.id},
    )
    return ports.jobs.get(ports.jobs.submit(request))


def list_jobs(ports: Ports, *, release_id: str | None = None) -> tuple[JobRecord, ...]:
    """Jobs of a release, of the active one without an id, newest first."""
    queue = deployed_release(ports, release_id) if release_id else active_pointer(ports)
    return ports.jobs.list(queue.job_queue_arn)


def require_reachable(target: Target, video_url: str) -> None:
    """Raise `UsageError("video-out-of-reach")` for a video that the role of the jobs may not read."""
    folders = [f"{target.uri(folder)}/" for folder in VIDEO_FOLDERS]
    if not video_url.startswith(tuple(folders)):
        raise UsageError(
            "video-out-of-reach",
            f"Jobs of target `{target.name}` may not read `{video_url}`, only {' and '.join(f'`{f}`' for f in folders)}",
            hint=f"Copy the video to `{folders[0]}` and name it there",
        )


def show_log(ports: Ports, job_id: str, show: Callable[[LogLine], None]) -> JobRecord:
    """Show what a job wrote so far, or say why there is nothing."""
    shown: list[LogLine] = []

    def keep(line: LogLine) -> None:
        shown.append(line)
        show(line)

    job = job_watch(ports, job_id, keep)()
    if not shown:
        ports.ui.note(no_log_text(job))
    return job


def follow_log(ports: Ports, job_id: str, show: Callable[[LogLine], None]) -> JobRecord:
    """Show the lines of a job as they come, until it has ended; and while it has no log, whatever is new of the reason."""
    look, told = job_watch(ports, job_id, show), set[str]()

    def followed() -> JobRecord:
        job = look()
        if not job.log_stream and (text := no_log_text(job)) not in told:
            told.add(text)
            ports.ui.note(text)
        return job

    return wait_for(followed, lambda job: job.state.is_final, _LOG, ports.clock)


def job_failure(job: JobRecord) -> CapctlError | None:
    """The error that a job amounts to, if it failed."""
    if job.state is not JobState.FAILED:
        return None
    hint = (
        "The end of its log says more"
        if job.log_stream
        else f"Look at `capctl job show {job.id}`: it never wrote a log"
    )
    return CapctlError("job-failed", f"Job `{job.id}` is {state_text(job)}", hint=hint)


def last_words(ports: Ports, job: JobRecord) -> str:
    """The last error that a job wrote, in one line; "" where it wrote nothing, or its log cannot be read."""
    try:
        return last_error([line.message for line in ports.jobs.logs(job).lines])
    except Interrupted:
        raise
    except CapctlError:
        return ""


def job_watch(ports: Ports, job_id: str, show: Callable[[LogLine], None]) -> Callable[[], JobRecord]:
    """A look at a job, which also shows the lines that it wrote since the look before."""
    before: JobRecord | None = None
    end: str | None = None

    def look() -> JobRecord:
        nonlocal before, end
        job = ports.jobs.get(job_id)
        if before is not None and before.log_stream != job.log_stream:
            # Each attempt has a stream of its own: the rest of the last one comes first, and the next is read from its beginning.
            show_all(ports.jobs.logs(before, after=end))
            end = None
        page = ports.jobs.logs(job, after=end)
        before, end = job, page.end
        show_all(page)
        return job

    def show_all(page: LogPage) -> None:
        for line in page.lines:
            show(line)

    return look
