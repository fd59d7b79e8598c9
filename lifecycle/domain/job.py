"""Batch jobs, and the contract with the container that does the work."""

from dataclasses import dataclass
from enum import StrEnum

from analyzer import contract as contract
from lifecycle.domain.ami import AmiId
from lifecycle.domain.states import ServiceState


class JobState(ServiceState):
    """Batch's own job states; `UNKNOWN` stands for a word that Batch has learnt since."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in {JobState.SUCCEEDED, JobState.FAILED}

    @property
    def needs_host(self) -> bool:
        """Whether the job has no host yet."""
        return self in {JobState.SUBMITTED, JobState.PENDING, JobState.RUNNABLE}


# In the order in which a job goes through them; an attempt that failed goes back to RUNNABLE.
KNOWN_STATES = tuple(state for state in JobState if state is not JobState.UNKNOWN)
UNFINISHED = tuple(state for state in KNOWN_STATES if not state.is_final)
WAITING = tuple(state for state in KNOWN_STATES if state.needs_host)


class Purpose(StrEnum):
    """What a job is for: the proof of a release, or the work that releases are made for."""

    SMOKE = "smoke"
    WORK = "work"


class Obstacle(StrEnum):
    """What keeps a job from running, or has ended it, that is not the job itself.

    `CAPACITY`: AWS has no host for it, or took it away. `MISCONFIGURED`: no host of the queue can ever fit.
    """

    CAPACITY = "capacity"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as Batch describes it. Times in milliseconds since the epoch, 0 = not yet; `exit_code` None = none reported.

    `attempt_reasons` say why earlier attempts ended, oldest first, and `attempt_times` when each began and ended; `is_ending`: somebody has
    ended it; its container may outlive that. `replaces` is the id of the job in whose place it was submitted, "" for most.
    """

    id: str
    name: str
    purpose: Purpose
    state: JobState
    obstacle: Obstacle | None
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
    attempt_reasons: tuple[str, ...] = ()
    attempt_times: tuple[tuple[int, int], ...] = ()
    is_ending: bool = False
    replaces: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHost:
    """What the instance that runs a job is, as EC2 tells of it."""

    ami_id: AmiId
    instance_type: str


class QueueState(ServiceState):
    """A queue with its compute environment, whichever is worse: from worst to best.

    The words are Batch's own but `MISSING`, and `UNKNOWN` for a word that Batch has learnt since.
    """

    MISSING = "MISSING"
    INVALID = "INVALID"
    DELETED = "DELETED"
    DELETING = "DELETING"
    CREATING = "CREATING"
    UPDATING = "UPDATING"
    UNKNOWN = "UNKNOWN"
    VALID = "VALID"

    @property
    def is_settled(self) -> bool:
        """Whether it stays as it is; what some endpoint does not know yet is `MISSING` for a while."""
        return self not in {QueueState.MISSING, QueueState.CREATING, QueueState.UPDATING, QueueState.UNKNOWN}


# Batch says it of every job whose container ended, whichever way.
_SAYS_NOTHING = "Essential container in task exited"


def state_text(job: JobRecord) -> str:
    """`FAILED, exit 65: unreadable input`: the state of a job, what it ended with and why, as far as is known."""
    ended = f", exit {job.exit_code}" if job.exit_code is not None else ""
    why = f": {reason_text(job)}" if reason_text(job) else ""
    return f"{job.state}{ended}{why}"


def reason_text(job: JobRecord) -> str:
    """Why a job ended or is where it is: what the contract says of its exit code, and what Batch says, if that is of any use."""
    told = job.reason or (job.status_reason if job.status_reason != _SAYS_NOTHING else "")
    return "; ".join(part for part in (_meaning(job.exit_code), told) if part)


def _meaning(exit_code: int | None) -> str:
    return contract.ExitCode(exit_code).meaning if exit_code and exit_code in set(contract.ExitCode) else ""
