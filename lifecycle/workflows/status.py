"""What is deployed, and what takes new jobs."""

from dataclasses import dataclass

from lifecycle.domain.permissions import READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.ports import Ports
from lifecycle.ports.jobs import Jobs, QueueStatus
from lifecycle.ports.journal import BEGUN, JournalEntry

PERMISSIONS = {"status": (*READ_POINTER, *READ_QUEUES, *READ_STATE)}

_JOURNAL_LINES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus:
    """A release and the state of its queue.

    `role` is `active`, `previous`, `candidate` for one that is younger than those, so that its way to the pointer is unfinished, or "".
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
    roles = _roles([deployed.id for deployed in releases], pointer)
    return Status(
        pointer=pointer,
        releases=tuple(_release_status(ports.jobs, deployed, roles) for deployed in releases),
        journal=_outcomes(ports.journal.entries())[-_JOURNAL_LINES:],
    )


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


def _roles(ids: list[str], pointer: Pointer | None) -> dict[str, str]:
    """By release id; `ids` stand in the order in which the releases were made."""
    named = {pointer.previous_release_id: "previous", pointer.release_id: "active"} if pointer else {}
    youngest = max((place for place, release_id in enumerate(ids) if release_id in named), default=-1)
    return dict.fromkeys(ids[youngest + 1 :], "candidate") | named
