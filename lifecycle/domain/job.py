"""Batch jobs, and the contract with the container that does the work."""

from dataclasses import dataclass
from enum import StrEnum

from analyzer import contract as contract


class JobState(StrEnum):
    """Batch's own job states."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobState.SUCCEEDED, JobState.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as Batch describes it. Times in milliseconds since the epoch, 0 = not yet; `exit_code` None = none reported."""

    id: str
    name: str
    state: JobState
    status_reason: str
    exit_code: int | None
    reason: str
    queue_arn: str
    definition_arn: str
    image: str
    log_group: str
    log_stream: str
    cluster_instance_arn: str
    attempts: int
    created_ms: int
    started_ms: int
    stopped_ms: int
