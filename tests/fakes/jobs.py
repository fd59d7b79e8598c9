"""`ports.Jobs` in memory."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobRecord, JobState, QueueState, contract
from lifecycle.domain.job_counts import JobCounts, count_states
from lifecycle.domain.release import DeployedRelease
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest, LogLine, LogPage, QueueStatus
from tests.fakes.objects import FakeObjects
from tests.fakes.releases import result_document
from tests.fakes.stack import FakeStack

GOOD: tuple[JobState, ...] = (JobState.RUNNABLE, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)


class FakeJobs:
    """Jobs on the releases of a `FakeStack`; each `get` brings a job one state further along `course`.

    A job that succeeds writes the document `leaves` to `objects`, where it was told to; None leaves nothing.
    `outcome` replaces fields of the record in its last state; `hosts` overrides the AMI that hosts of a queue run. The next looks at
    queues find `queues`, then they are valid; those in `missing` are gone although their release is listed.
    """

    def __init__(self, stack: FakeStack, objects: FakeObjects) -> None:
        self._stack = stack
        self._objects = objects
        self._jobs: dict[str, JobRecord] = {}
        self._left: dict[str, list[JobState]] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self.course: tuple[JobState, ...] = GOOD
        self.leaves: dict[str, Any] | None = result_document()
        self.outcome: dict[str, object] = {}
        self.hosts: dict[str, AmiId] = {}
        self.queues: list[QueueStatus] = []
        self.missing: set[str] = set()
        self.closed: set[str] = set()
        self.environments = 1
        self.requests: list[JobRequest] = []
        self.cancelled: dict[str, str] = {}

    def submit(self, request: JobRequest) -> str:
        release = self._release_of(request.queue_arn)
        if request.queue_arn in self.closed:
            raise CapctlError(
                "aws-failed", f"Job queue `{request.queue_arn}` is DISABLED", hint="Deploy the release again"
            )
        job_id = f"job-{len(self.requests) + 1}"
        self.requests.append(request)
        self._left[job_id] = list(self.course)
        self._environments[job_id] = request.environment
        self._jobs[job_id] = JobRecord(
            id=job_id,
            name=re.sub(r"[^\w-]", "-", request.name)[:128],
            purpose=request.purpose,
            state=JobState.SUBMITTED,
            obstacle=None,
            status_reason="",
            exit_code=None,
            reason="",
            queue_arn=request.queue_arn,
            definition_arn=request.definition_arn,
            image=str(release.image),
            log_group="/vision/jobs",
            log_stream="",
            cluster_instance_arn="",
            attempts=0,
            created_ms=1_000 * len(self.requests),
            started_ms=0,
            stopped_ms=0,
        )
        return job_id

    def get(self, job_id: str) -> JobRecord:
        if job_id not in self._jobs:
            raise CapctlError("job-missing", f"Batch knows no job `{job_id}`", hint="List jobs with `capctl job ls`")
        job, left = self._jobs[job_id], self._left[job_id]
        if left:
            job = replace(job, state=left.pop(0))
            if job.state in {JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED}:
                job = replace(job, log_stream=f"stream/{job_id}", cluster_instance_arn=f"host/{job_id}")
            if not left:
                job = replace(job, stopped_ms=job.created_ms + 2_500, **self.outcome)  # type: ignore[arg-type]
                self._leave_result(job)
            self._jobs[job_id] = job
        return job

    def list(self, queue_arn: str) -> tuple[JobRecord, ...]:
        found = [job for job in self._jobs.values() if job.queue_arn == queue_arn]
        return tuple(sorted(found, key=lambda job: job.created_ms, reverse=True))

    def count(self, queue_arn: str, definition_arn: str) -> JobCounts:
        return count_states(job.state for job in self.list(queue_arn) if job.definition_arn == definition_arn)

    def logs(self, job: JobRecord, *, after: str | None = None) -> LogPage:
        written = self._written(job)
        return LogPage(lines=tuple(written[int(after or 0) :]), end=str(len(written)))

    def cancel(self, job_id: str, *, reason: str) -> None:
        self.cancelled[job_id] = reason
        self._left[job_id] = []
        self._jobs[job_id] = replace(
            self._jobs[job_id], state=JobState.FAILED, status_reason=reason[:256], is_ending=True
        )

    def host_ami(self, job: JobRecord) -> AmiId | None:
        if not job.cluster_instance_arn:
            return None
        return self.hosts.get(job.queue_arn) or self._release_of(job.queue_arn).ami_id

    def queue_status(self, queue_arn: str) -> QueueStatus:
        existing = {release.job_queue_arn for release in self._stack.releases()}
        if queue_arn not in existing - self.missing:
            return QueueStatus(state=QueueState.MISSING, reason=f"job queue `{queue_arn}` does not exist")
        return self.queues.pop(0) if self.queues else QueueStatus(state=QueueState.VALID, reason="")

    def close_queue(self, queue_arn: str) -> None:
        self.closed.add(queue_arn)

    def open_queue(self, queue_arn: str) -> None:
        self.closed.discard(queue_arn)

    def count_compute_environments(self) -> int:
        return self.environments

    def _release_of(self, queue_arn: str) -> DeployedRelease:
        for release in self._stack.releases():
            if release.job_queue_arn == queue_arn:
                return release
        raise CapctlError("aws-failed", f"Job queue `{queue_arn}` does not exist", hint="Deploy the release again")

    def _leave_result(self, job: JobRecord) -> None:
        folder = self._environments[job.id].get(contract.Env.RESULT_URL)
        if folder and self.leaves is not None and job.state is JobState.SUCCEEDED:
            self._objects.write(f"{folder}/{contract.RESULT_NAME}", json.dumps(self.leaves).encode())

    def _written(self, job: JobRecord) -> Sequence[LogLine]:
        if not job.log_stream:
            return ()
        # Both lines in one millisecond: a follower that goes by time loses the second.
        lines = [LogLine(at_ms=job.created_ms + 1, message="analysis begins")]
        return [*lines, LogLine(at_ms=job.created_ms + 1, message="analysis ends")] if job.state.is_final else lines


def queue(state: str, reason: str = "") -> QueueStatus:
    """One look at a queue."""
    return QueueStatus(state=QueueState(state), reason=reason)
