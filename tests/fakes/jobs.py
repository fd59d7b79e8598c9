"""`ports.Jobs` on `FakeBatch`."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobHost, JobRecord, JobState, QueueState
from lifecycle.domain.job_counts import COUNTED, JobCounts, count_states
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest, LogPage, QueueStatus, Submission, queue_disabled
from tests.fakes.batch import FakeBatch
from tests.fakes.batch_compute import BatchRefused
from tests.fakes.batch_jobs import Course, Script
from tests.fakes.objects import FakeObjects
from tests.fakes.releases import result_document
from tests.fakes.stack import FakeStack

GOOD: tuple[JobState, ...] = (JobState.RUNNABLE, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)


class FakeJobs:
    """Jobs on the releases of a `FakeStack`; `course`, `leaves` and `outcome` are the `Script` of those that are submitted from now on.

    The next looks at queues find `queues`, then what they are; those in `missing` are not known where the look is answered. `requests`,
    `withdrawn` and `cancelled` hold what was asked for.
    """

    def __init__(self, stack: FakeStack, objects: FakeObjects) -> None:
        self.batch: FakeBatch = stack.batch
        self.batch.objects = objects
        self.course: Course = GOOD
        self.leaves: dict[str, Any] | None = result_document()
        self.outcome: dict[str, object] = {}
        self.queues: list[QueueStatus] = []
        self.missing: set[str] = set()
        self.requests: list[JobRequest] = []
        self.withdrawn: list[str] = []
        self.cancelled: dict[str, str] = {}

    @property
    def hosts(self) -> dict[str, AmiId]:
        """The AMIs that the hosts of a queue run, where they are not its environment's."""
        return self.batch.hosts

    @property
    def closed(self) -> set[str]:
        """The queues that take no more jobs."""
        return {arn for arn, queue in self.batch.queues.items() if not queue.is_enabled}

    def submit(self, request: JobRequest) -> str:
        script = Script(course=self.course, leaves=self.leaves, outcome=self.outcome)
        if request.queue_arn in self.closed:
            raise queue_disabled(request.queue_arn)
        with _refusals():
            job = self.batch.submit(request, script)
        self.requests.append(request)
        return job.id

    def get(self, job_id: str) -> JobRecord:
        job = self.batch.look(job_id)
        if job is None:
            raise CapctlError("job-missing", f"Batch knows no job `{job_id}`", hint="List jobs with `capctl job ls`")
        return job.record

    def find(self, job_ids: Sequence[str]) -> tuple[JobRecord, ...]:
        self.batch.advance()
        return tuple(self.batch.jobs[job_id].record for job_id in job_ids if job_id in self.batch.jobs)

    def submissions(self, job_ids: Sequence[str]) -> tuple[Submission, ...]:
        self.batch.advance()
        found = [self.batch.jobs[job_id] for job_id in job_ids if job_id in self.batch.jobs]
        return tuple(
            Submission(
                job=job.record,
                request=replace(job.request, name=job.record.name),
                special=job.special,
                waits_for=job.waits_for,
            )
            for job in found
        )

    def list(
        self,
        queue_arn: str,
        *,
        states: Collection[JobState] = (),
        since_ms: int | None = None,
        named: str = "",
        reason: str = "",
    ) -> tuple[JobRecord, ...]:
        with _refusals():
            jobs = [job.record for job in self.batch.jobs_of(queue_arn)]
        return tuple(
            job
            for job in jobs
            if (not states or job.state in states)
            and (since_ms is None or job.created_ms >= since_ms)
            and job.name.startswith(named)
            and job.status_reason.startswith(reason)
        )

    def count(self, queue_arn: str, definition_arn: str = "") -> JobCounts:
        states = [job.state for job in self.list(queue_arn) if definition_arn in {job.definition_arn, ""}]
        return count_states(states[:COUNTED], is_complete=len(states) <= COUNTED)

    def logs(self, job: JobRecord, *, after: str | None = None) -> LogPage:
        self.batch.advance()
        written = self.batch.jobs[job.id].logs.get(job.log_stream, []) if job.log_stream else []
        return LogPage(lines=tuple(written[int(after or 0) :]), end=str(len(written)))

    def cancel(self, job_id: str, *, reason: str) -> None:
        self.cancelled[job_id] = reason
        with _refusals():
            self.batch.terminate(job_id, reason)

    def withdraw(self, job_id: str, *, reason: str) -> None:
        self.withdrawn.append(job_id)
        with _refusals():
            self.batch.cancel(job_id, reason)

    def host(self, job: JobRecord) -> JobHost | None:
        host = self.batch.host(job.cluster_instance_arn)
        return JobHost(ami_id=host.ami_id, instance_type=host.instance_type) if host else None

    def queue_status(self, queue_arn: str) -> QueueStatus:
        if queue_arn in self.missing or not self.batch.has_queue(queue_arn):
            return QueueStatus(state=QueueState.MISSING, reason=f"job queue `{queue_arn}` does not exist")
        if self.queues:
            return self.queues.pop(0)
        environment_arn = self.batch.queues[queue_arn].environment_arn
        if environment_arn not in self.batch.environments:
            return QueueStatus(state=QueueState.MISSING, reason="a compute environment of the queue does not exist")
        condition = self.batch.condition(environment_arn)
        return QueueStatus(
            state=condition.state,
            reason=condition.reason,
            is_open=self.batch.queues[queue_arn].is_enabled,
            gives_hosts=self.batch.environments[environment_arn].is_enabled,
        )

    def close_queue(self, queue_arn: str) -> None:
        self.batch.switch_queue(queue_arn, is_enabled=False)

    def open_queue(self, queue_arn: str) -> None:
        self.batch.switch_queue(queue_arn, is_enabled=True)

    def compute_environments(self) -> frozenset[str]:
        return self.batch.environment_names()


@contextmanager
def _refusals() -> Iterator[None]:
    """What Batch refuses, as the adapter says it."""
    try:
        yield
    except BatchRefused as refused:
        raise CapctlError("aws-failed", str(refused), hint="Deploy the release again") from refused


def queue(state: str, reason: str = "") -> QueueStatus:
    """One look at a queue."""
    return QueueStatus(state=QueueState(state), reason=reason)
