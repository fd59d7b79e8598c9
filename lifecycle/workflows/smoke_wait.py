"""Wait for a smoke job, within one bound, and see how it gets on."""

from contextlib import ExitStack
from dataclasses import dataclass

from lifecycle.domain.job import JobHost, JobRecord, JobState, Obstacle
from lifecycle.domain.log_text import plain_text
from lifecycle.domain.smoke_trouble import Spent, overdue, trouble_of
from lifecycle.domain.timeline import Seen, timeline
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.jobs import job_watch
from lifecycle.workflows.release_steps import invalid_release

# A release that cannot start its job shows it in seconds; later the wait is for a host or for the video.
_JOB = Wait(shortest_s=0.5, longest_s=5.0, share=0.02)
_LOG_TAIL = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A job that has succeeded, its host if it was there to be asked, and the states that were seen."""

    job: JobRecord
    host: JobHost | None
    seen: tuple[Seen, ...]


def wait_for_success(
    ports: Ports, job_id: str, release_id: str, *, timeout_s: int, submitted_s: float | None
) -> Waited:
    """Wait until the job has succeeded; its host is asked what it is while it still is there.

    `submitted_s` is the monotonic time at which Batch took the job, None for one that another run submitted. Raises what
    `smoke_trouble` finds, and `CapctlError("release-invalid")` when the release becomes that while the job waits for a host; nothing
    runs then any more for its sake.
    """
    with ExitStack() as line:
        return _Watch(ports, job_id, release_id, timeout_s, submitted_s, _Line(ports, job_id, line)).succeeded()


class _Line:
    """The line of the present phase, live on a terminal; each phase leaves one with its duration."""

    def __init__(self, ports: Ports, job_id: str, stack: ExitStack) -> None:
        self._ports, self._job_id, self._stack = ports, job_id, stack
        self._title = ""

    def show(self, state: JobState) -> None:
        title = self._titled(state)
        # The line of a job that fails is marked by the error that follows.
        if title == self._title or state is JobState.FAILED:
            return
        self._title = title
        self._stack.close()
        if title:
            self._stack.enter_context(self._ports.ui.step(title))

    def _titled(self, state: JobState) -> str:
        if state.is_final:
            return ""
        if state.needs_host:
            return f"wait for a host for job {self._job_id}"
        return {
            JobState.STARTING: f"start the container of job {self._job_id}",
            JobState.RUNNING: f"run job {self._job_id}",
        }.get(state, f"wait for job {self._job_id}, which is {state}")


class _Watch:
    """The looks at one job."""

    def __init__(
        self, ports: Ports, job_id: str, release_id: str, timeout_s: int, submitted_s: float | None, line: _Line
    ) -> None:
        self._ports, self._timeout_s, self._submitted_s, self._line = ports, timeout_s, submitted_s, line
        self._release_id = release_id
        self._look = job_watch(ports, job_id, lambda written: ports.ui.detail(written.message))
        self._instance_arn = ""
        self._host: JobHost | None = None
        self._seen: list[Seen] = []
        self._told: set[str] = set()
        self._time = _Stopwatch(ports.clock.monotonic())

    def succeeded(self) -> Waited:
        job = wait_for(self._next, lambda job: job.state is JobState.SUCCEEDED, _JOB, self._ports.clock)
        return Waited(job=job, host=self._host, seen=tuple(self._seen))

    def _next(self) -> JobRecord:
        job = self._look()
        self._line.show(job.state)
        self._note(job)
        if job.cluster_instance_arn != self._instance_arn:
            # Another attempt, on another host: what the lost one was says nothing of it.
            self._instance_arn, self._host = job.cluster_instance_arn, None
        self._host = self._host or self._ports.jobs.host(job)
        spent = self._time.spent(job, self._ports.clock.monotonic())
        if failure := trouble_of(job) or self._invalid(job) or overdue(job, spent, self._timeout_s):
            raise self._ended(job, failure)
        return job

    def _invalid(self, job: JobRecord) -> CapctlError | None:
        """That Batch found out only with the first hosts that none will ever join: the job would wait for nothing."""
        if not job.state.needs_host:
            return None
        return invalid_release(self._release_id, self._ports.jobs.queue_status(job.queue_arn))

    def _note(self, job: JobRecord) -> None:
        """Remember a state that is new, and tell once what keeps the job waiting."""
        is_back = bool(self._seen) and job.state.needs_host and not self._seen[-1].state.needs_host
        if not self._seen or self._seen[-1].state is not job.state:
            self._seen.append(Seen(state=job.state, at_ms=self._now_ms(job)))
        if is_back:
            why = next((reason for reason in reversed(job.attempt_reasons) if reason), "Batch gives no reason")
            self._ports.ui.note(f"Job {job.id} lost an attempt and is begun anew: {why}")
        if job.state.needs_host and job.obstacle is Obstacle.CAPACITY and job.status_reason not in self._told:
            self._told.add(job.status_reason)
            self._ports.ui.note(f"Job {job.id} waits on: {job.status_reason}")

    def _now_ms(self, job: JobRecord) -> int:
        """The present time by Batch's clock, as far as that is known."""
        if self._submitted_s is None:
            return int(self._ports.clock.now().timestamp() * 1000)
        return job.created_ms + round(1000 * (self._ports.clock.monotonic() - self._submitted_s))

    def _ended(self, job: JobRecord, failure: CapctlError) -> CapctlError:
        """The failure with what is known of the job, after nothing runs any more for its sake."""
        if not job.state.is_final:
            self._ports.jobs.cancel(job.id, reason=failure.message)
        failure.details = tuple(plain_text(line.message) for line in self._ports.jobs.logs(job).lines[-_LOG_TAIL:])
        failure.evidence = {"job": job, "timeline": timeline(job, self._seen)}
        return failure


class _Stopwatch:
    """Counts on this machine's clock, from the first look that saw an attempt run, so that it ran at least that long."""

    def __init__(self, begun_s: float) -> None:
        self._begun_s = begun_s
        self._ran_s = 0.0
        self._running: tuple[int, float] | None = None

    def spent(self, job: JobRecord, now_s: float) -> Spent:
        is_same = self._running is not None and job.state is JobState.RUNNING and self._running[0] == job.attempts
        if self._running is not None and not is_same:
            self._ran_s += now_s - self._running[1]
            self._running = None
        if self._running is None and job.state is JobState.RUNNING:
            self._running = (job.attempts, now_s)
        running_s = now_s - self._running[1] if self._running else 0.0
        total_s = now_s - self._begun_s
        return Spent(total_s=total_s, waited_s=total_s - self._ran_s - running_s, running_s=running_s)
