"""Batch jobs and the hosts they run on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from lifecycle.domain.job import JobHost, JobRecord, JobState, Purpose, QueueState
from lifecycle.domain.job_counts import JobCounts
from lifecycle.errors import CapctlError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job to submit, pinned to a queue and a job-definition revision. Batch may shorten `name`, which is for people."""

    name: str
    queue_arn: str
    definition_arn: str
    environment: dict[str, str]
    tags: dict[str, str]
    purpose: Purpose = Purpose.WORK
    timeout_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job, and what it was submitted with: the same `request` submits another one like it.

    `special` names the settings that a `JobRequest` does not hold, such as those of an array; `waits_for` are the ids of jobs.
    """

    job: JobRecord
    request: JobRequest
    special: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a job's log; `at_ms` since the epoch."""

    at_ms: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """What a job wrote since an earlier page; `end` is where the next one begins, in the log's own words."""

    lines: tuple[LogLine, ...] = ()
    end: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """The state of a queue with its compute environment, and why; a queue that is not open takes no new jobs and goes on with those that
    it has, without an environment that gives hosts those that wait get none.
    """

    state: QueueState
    reason: str
    is_open: bool = True
    gives_hosts: bool = True


def queue_disabled(queue_arn: str) -> CapctlError:
    """The error of a job for a queue that takes none."""
    return CapctlError(
        "queue-disabled",
        f"Job queue `{queue_arn}` is DISABLED, so that it takes no jobs",
        hint="`capctl drift` names the command that enables it",
    )


class Jobs(Protocol):
    """Errors: `Denied`, `CapctlError("job-missing")`."""

    def submit(self, request: JobRequest) -> str:
        """Submit; returns the job id. Raises `CapctlError("queue-disabled")`."""

    def get(self, job_id: str) -> JobRecord:
        """One job."""

    def find(self, job_ids: Sequence[str]) -> tuple[JobRecord, ...]:
        """Those of the jobs that Batch knows, a hundred by call."""

    def submissions(self, job_ids: Sequence[str]) -> tuple[Submission, ...]:
        """What those of the jobs that Batch knows were submitted with."""

    def list(
        self,
        queue_arn: str,
        *,
        states: Collection[JobState] = (),
        since_ms: int | None = None,
        named: str = "",
        reason: str = "",
    ) -> tuple[JobRecord, ...]:
        """Jobs of a queue, newest first: those in `states` (without any, in every one), created at `since_ms` or later by Batch's own
        clock, with a name that begins with `named`, and a status reason that begins with `reason`.

        Batch keeps those that have ended for a week, which may be many thousands, and shows by call a hundred of the given time or name,
        or up to a thousand in one state; a hundred that are wanted take another call.
        """

    def count(self, queue_arn: str, definition_arn: str = "") -> JobCounts:
        """Jobs in a queue, of one revision of a job definition or of any, in one call: of more than `COUNTED` the newest."""

    def logs(self, job: JobRecord, *, after: str | None = None) -> LogPage:
        """Log lines after the `end` of an earlier page, or from the first; empty while the job has no log stream."""

    def cancel(self, job_id: str, *, reason: str) -> None:
        """End the job in whatever state it is; Batch may shorten `reason`."""

    def withdraw(self, job_id: str, *, reason: str) -> None:
        """Cancel the job if it has not started: Batch decides that, and says nothing of it here. It ends as failed, a moment later."""

    def host(self, job: JobRecord) -> JobHost | None:
        """The instance the job runs on, as EC2 tells of it; None while there is none."""

    def queue_status(self, queue_arn: str) -> QueueStatus:
        """A queue and its compute environment, whichever is worse."""

    def close_queue(self, queue_arn: str) -> None:
        """Let the queue take no more jobs; those that it has go on. One that does not exist is closed."""

    def open_queue(self, queue_arn: str) -> None:
        """Let the queue take jobs."""

    def compute_environments(self) -> frozenset[str]:
        """The names of the compute environments that the account has in the region, whoever made them; Batch allows 50."""
