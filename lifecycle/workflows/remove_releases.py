"""The steps by which releases go: no job is lost, and nothing that the pointer needs."""

from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.job import UNFINISHED, JobRecord, Purpose
from lifecycle.domain.moved_jobs import meant_for
from lifecycle.domain.permissions import (
    CHANGE_STATE,
    MOVE_POINTER,
    READ_DEPLOYMENTS,
    READ_JOBS,
    READ_POINTER,
    READ_RELEASES,
)
from lifecycle.domain.release import DeployedRelease, Pointer, Surplus, left_ids, needed_ids, surplus_releases
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.workflows.job_moves import cut_off_moves

# Moves of the pointer, for which releases were left.
_LOOKED_BACK = 100

_REMOVE = (
    *CHANGE_STATE,
    *MOVE_POINTER,
    *READ_JOBS,
    *READ_POINTER,
    *READ_RELEASES,
    "batch:DeleteComputeEnvironment",
    "batch:DeleteJobQueue",
    "batch:DeregisterJobDefinition",
    "batch:UpdateComputeEnvironment",
    "batch:UpdateJobQueue",
    "ec2:DeleteLaunchTemplate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRelease:
    """Remove a release again, unless the pointer needs it, or it has jobs that are no smoke jobs.

    Raises `PartlyApplied("release-active")` when the pointer names it, as active or as the one before: then another run promoted it,
    and the former state is not back in place.
    """

    ports: Ports
    release_id: str
    permissions: tuple[str, ...] = _REMOVE

    def describe(self) -> str:
        return f"remove release {self.release_id}, unless the pointer needs it"

    def apply(self) -> str:
        pointer = self.ports.pointers.read()
        if pointer and pointer.release_id == self.release_id:
            raise PartlyApplied(
                "release-active",
                f"The pointer names release `{self.release_id}`, which takes jobs and is not removed",
                hint="Run `capctl rollback`, or look at `capctl status` whether somebody else wants it there",
            )
        needed = needed_ids(pointer)
        if self.release_id in needed:
            raise PartlyApplied(
                "release-active",
                f"Release `{self.release_id}` took jobs meanwhile and is the one before the active one, so it is not removed",
                hint="Look at `capctl status`: `capctl rollback` without `--to` would go back to it",
            )
        self.ports.pointers.retire(self.release_id)
        releases = self.ports.stack.releases()
        standing = [deployed for deployed in releases if deployed.id == self.release_id]
        jobs = [job for deployed in standing for job in _last_jobs(self.ports, deployed, releases)]
        if any(job.purpose is Purpose.WORK for job in jobs):
            return f"kept until its jobs have ended{_to_be_moved(self.release_id, jobs)}; the next deploy removes it"
        # Asked for even when the release is not listed: what a failed creation left belongs to no list.
        self.ports.stack.remove_releases({self.release_id}, needed=needed)
        return "removed"

    def verify(self, result: str) -> None:
        if result == "removed" and self.release_id in _ids(self.ports.stack.releases()):
            raise CapctlError(
                "release-not-removed",
                f"Release `{self.release_id}` still exists after it was removed",
                hint="Run `capctl deploy` again; it removes what is half there",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Ids of the releases that were removed, and of those that stay because they have unfinished jobs."""

    removed: frozenset[str]
    busy: frozenset[str]

    def __str__(self) -> str:
        said = [f"pruned {_listed(self.removed)}" if self.removed else "nothing to prune"]
        return "; ".join([*said, *(f"kept {id_}, it has unfinished jobs" for id_ in sorted(self.busy))])


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReleases:
    """Remove old releases; the active one and the one before it stay.

    One with unfinished jobs takes no more of them and stays until a later run finds it without. `foreseen` is what the plan could say
    of those that go, None where it could not.
    """

    ports: Ports
    keep: int
    foreseen: Surplus | None = None
    permissions: tuple[str, ...] = (*_REMOVE, *READ_DEPLOYMENTS)

    def describe(self) -> str:
        return f"drain and prune releases beyond {self.keep}" + (f": {self.foreseen}" if self.foreseen else "")

    def apply(self) -> Pruned:
        stack, pointer = self.ports.stack, self.ports.pointers.read()
        releases = stack.releases()
        surplus = surplus_releases(releases, pointer, keep=self.keep, left=self._left(pointer))
        for deployed in surplus:
            self.ports.pointers.retire(deployed.id)
        busy = {deployed.id for deployed in surplus if _last_jobs(self.ports, deployed, releases)}
        removed, needed = _ids(surplus) - busy, needed_ids(pointer)
        # What a prune that was killed left of a release is in no list.
        if removed or stack.half_made() - needed:
            stack.remove_releases(removed, needed=needed)
        return Pruned(removed=frozenset(removed), busy=frozenset(busy))

    def _left(self, pointer: Pointer | None) -> frozenset[str]:
        """What somebody went back from is the last that anybody wants to go back to."""
        last = pointer.version if pointer else 0
        return left_ids(self.ports.pointers.past(range(max(last - _LOOKED_BACK, 0) + 1, last + 1)))

    def verify(self, result: Pruned) -> None:
        if left := result.removed & _ids(self.ports.stack.releases()):
            raise CapctlError(
                "release-not-removed",
                f"Old releases still exist after they were removed: {_listed(left)}",
                hint="The next deploy tries again",
            )


def _last_jobs(ports: Ports, deployed: DeployedRelease, releases: tuple[DeployedRelease, ...]) -> list[JobRecord]:
    """The jobs for which a release stays, which takes no more of them from then on: none comes between this look and its end.

    They are the unfinished ones, and those that a move to another of `releases` cancelled and never submitted there: with its queue the
    only trace of them would go.
    """
    ports.jobs.close_queue(deployed.job_queue_arn)
    unfinished = ports.jobs.list(deployed.job_queue_arn, states=UNFINISHED)
    return [*unfinished, *cut_off_moves(ports, deployed, releases).open]


def _to_be_moved(release_id: str, jobs: Collection[JobRecord]) -> str:
    return f", and `capctl job move {release_id}` has moved the others" if any(map(meant_for, jobs)) else ""


def _ids(releases: tuple[DeployedRelease, ...]) -> set[str]:
    return {deployed.id for deployed in releases}


def _listed(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids))
