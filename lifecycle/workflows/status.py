"""What is deployed, and what takes new jobs."""

from dataclasses import dataclass

from lifecycle.domain.permissions import READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.release import DeployedRelease, Pointer, promoted_ids
from lifecycle.ports import Ports
from lifecycle.ports.jobs import Jobs, QueueStatus
from lifecycle.ports.journal import BEGUN, JournalEntry

PERMISSIONS = {"status": (*READ_POINTER, *READ_QUEUES, *READ_STATE)}

_JOURNAL_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus:
    """A release and the state of its queue.

    `role` is `active`, `previous`, `candidate` for one that was made and never promoted, or "".
    """

    deployed: DeployedRelease
    role: str
    queue: QueueStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`journal` holds the last mutations made from this machine, oldest first."""

    pointer: Pointer | None
    releases: tuple[ReleaseStatus, ...]
    journal: tuple[JournalEntry, ...]


def read_status(ports: Ports) -> Status:
    """Read everything that `capctl status` shows; a queue that is gone is a state, not an error."""
    pointer, releases = ports.pointers.read(), ports.stack.releases()
    roles = roles_of(releases, pointer)
    return Status(
        pointer=pointer,
        releases=tuple(_release_status(ports.jobs, deployed, roles) for deployed in releases),
        journal=_outcomes(ports.journal.entries())[-_JOURNAL_LINES:],
    )


def roles_of(releases: tuple[DeployedRelease, ...], pointer: Pointer | None) -> dict[str, str]:
    """What each release is to the pointer, by its id, as in `ReleaseStatus.role`; a release without a role is not in it."""
    candidates = {deployed.id for deployed in releases} - {*promoted_ids(releases, pointer)}
    named = {pointer.previous_release_id: "previous", pointer.release_id: "active"} if pointer else {}
    return dict.fromkeys(candidates, "candidate") | named


def _outcomes(entries: tuple[JournalEntry, ...]) -> tuple[JournalEntry, ...]:
    """The end of each mutation; the begin only of one that never ended."""
    ended = {(entry.run_id, entry.step) for entry in entries if entry.outcome != BEGUN}
    return tuple(entry for entry in entries if entry.outcome != BEGUN or (entry.run_id, entry.step) not in ended)


def _release_status(jobs: Jobs, deployed: DeployedRelease, roles: dict[str, str]) -> ReleaseStatus:
    return ReleaseStatus(
        deployed=deployed,
        role=roles.get(deployed.id, ""),
        queue=jobs.queue_status(deployed.job_queue_arn),
    )
