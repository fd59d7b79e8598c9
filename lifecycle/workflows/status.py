"""What is deployed, and what takes new jobs."""

from dataclasses import dataclass

from lifecycle.domain.permissions import READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.ports import Ports
from lifecycle.ports.jobs import Jobs
from lifecycle.ports.journal import BEGUN, JournalEntry

PERMISSIONS = {"status": (*READ_POINTER, *READ_QUEUES, *READ_STATE)}

_JOURNAL_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus:
    """A release and the state of its queue; `role` is `active`, `previous` or ""."""

    deployed: DeployedRelease
    role: str
    queue_state: str
    queue_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`journal` holds the last mutations made from this machine, oldest first."""

    pointer: Pointer | None
    releases: tuple[ReleaseStatus, ...]
    journal: tuple[JournalEntry, ...]


def read_status(ports: Ports) -> Status:
    """Read everything that `capctl status` shows; a queue that is gone is a state, not an error."""
    pointer = ports.pointers.read()
    return Status(
        pointer=pointer,
        releases=tuple(_release_status(ports.jobs, release, pointer) for release in ports.stack.releases()),
        journal=_outcomes(ports.journal.entries())[-_JOURNAL_LINES:],
    )


def _outcomes(entries: tuple[JournalEntry, ...]) -> tuple[JournalEntry, ...]:
    """The end of each mutation; the begin only of one that never ended."""
    ended = {(entry.run_id, entry.step) for entry in entries if entry.outcome != BEGUN}
    return tuple(entry for entry in entries if entry.outcome != BEGUN or (entry.run_id, entry.step) not in ended)


def _release_status(jobs: Jobs, deployed: DeployedRelease, pointer: Pointer | None) -> ReleaseStatus:
    state, reason = jobs.queue_state(deployed.job_queue_arn)
    return ReleaseStatus(deployed=deployed, role=_role(deployed.id, pointer), queue_state=state, queue_reason=reason)


def _role(release_id: str, pointer: Pointer | None) -> str:
    if pointer is None:
        return ""
    return {pointer.previous_release_id: "previous", pointer.release_id: "active"}.get(release_id, "")
