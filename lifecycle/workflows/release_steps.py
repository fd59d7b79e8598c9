"""The steps by which releases come and go."""

from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.job import QueueState
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import CHANGE_STATE, READ_IMAGES, READ_JOBS, READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.release import DeployedRelease, Pointer, Release
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, PartlyApplied, TimedOut
from lifecycle.ports import Ports
from lifecycle.ports.jobs import QueueStatus
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.lookups import deployed_release

# Compute environments are valid within a minute or not at all; ten minutes is what Batch's own console waits. One that cannot start
# its hosts may be VALID for a moment before it is INVALID.
_VALID = Wait(shortest_s=0.5, longest_s=5.0, share=0.1, successes=3, timeout_s=600.0)

# An update of Pulumi's first reads what a killed run left.
_READ_RELEASES = (
    *READ_QUEUES,
    "batch:DescribeJobDefinitions",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
)
_CREATE = (
    *CHANGE_STATE,
    *_READ_RELEASES,
    "batch:CreateComputeEnvironment",
    "batch:CreateJobQueue",
    "batch:RegisterJobDefinition",
    "batch:TagResource",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateTags",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
)
_DELETE = (
    *CHANGE_STATE,
    *_READ_RELEASES,
    "batch:DeleteComputeEnvironment",
    "batch:DeleteJobQueue",
    "batch:DeregisterJobDefinition",
    "batch:UpdateComputeEnvironment",
    "batch:UpdateJobQueue",
    "ec2:DeleteLaunchTemplate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRelease:
    """Add a release to those that exist."""

    ports: Ports
    release: Release
    permissions: tuple[str, ...] = (*_CREATE, *READ_POINTER, *READ_IMAGES)

    def describe(self) -> str:
        return f"create release {self.release.id}: AMI {self.release.ami_id}, image {self.release.image.digest}"

    def apply(self) -> str:
        # A person, or a prune elsewhere, may have deleted it since it was tagged; else the first job finds out, on a host that is paid for.
        if self.ports.registry.find(self.release.image.digest) is None:
            raise CapctlError(
                "image-missing",
                f"The registry does not have `{self.release.image}`, which the release names, any more",
                hint="Run `capctl image push` and deploy again",
            )
        made = self.ports.stack.add_release(self.release, needed=needed_ids(self.ports.pointers.read()))
        return f"{counted(len(made), 'release')} now"

    def verify(self, _: str) -> None:
        if self.release.id not in _ids(self.ports.stack.releases()):
            raise CapctlError(
                "release-missing",
                f"Release `{self.release.id}` is not among those that exist after it was created",
                hint="Run `capctl deploy -v` again",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitValid:
    """Wait until Batch accepts the release's compute environment and queue."""

    ports: Ports
    release_id: str
    permissions: tuple[str, ...] = (*READ_STATE, *READ_QUEUES)

    def describe(self) -> str:
        return f"wait until the queue of release {self.release_id} is VALID"

    def apply(self) -> str:
        queue_arn = deployed_release(self.ports, self.release_id).job_queue_arn
        wait_for(
            lambda: self._look(queue_arn),
            lambda queue: queue.state is QueueState.VALID,
            _VALID,
            self.ports.clock,
            timed_out=self._timed_out,
        )
        return QueueState.VALID

    def verify(self, _: str) -> None:
        """`apply` has read it back already, more than once."""

    def _look(self, queue_arn: str) -> QueueStatus:
        queue = self.ports.jobs.queue_status(queue_arn)
        if queue.state.is_settled and queue.state is not QueueState.VALID:
            raise CapctlError(
                "release-invalid",
                f"Batch says {queue.state} of release `{self.release_id}`: {queue.reason or 'no reason given'}",
                hint="Correct what Batch names, and deploy again",
                verdict=True,
            )
        return queue

    def _timed_out(self, queue: QueueStatus) -> TimedOut:
        return TimedOut(
            "release-pending",
            f"Release `{self.release_id}` was still {queue.state} after {_VALID.timeout_s:g} s",
            hint="Deploy again; AWS's health page may say why",
            verdict=queue.state is QueueState.MISSING,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRelease:
    """Remove a release again, unless the pointer needs it.

    Raises `PartlyApplied("release-active")` when the pointer names it, as active or as the one before: then another run promoted it,
    and the former state is not back in place.
    """

    ports: Ports
    release_id: str
    permissions: tuple[str, ...] = (*_DELETE, *READ_POINTER)

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
        # Asked for even when the release is not listed: what a failed creation left belongs to no list.
        self.ports.stack.remove_releases({self.release_id}, needed=needed)
        return "removed"

    def verify(self, _: str) -> None:
        if self.release_id in _ids(self.ports.stack.releases()):
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
    """Remove old releases; the active one, the one before it and those with unfinished jobs stay."""

    ports: Ports
    keep: int
    permissions: tuple[str, ...] = (*_DELETE, *READ_JOBS, *READ_POINTER)

    def describe(self) -> str:
        return f"prune releases beyond {self.keep}"

    def apply(self) -> Pruned:
        stack, jobs, pointer = self.ports.stack, self.ports.jobs, self.ports.pointers.read()
        surplus = surplus_releases(stack.releases(), pointer, keep=self.keep)
        busy = {d.id for d in surplus if any(not j.state.is_final for j in jobs.list(d.job_queue_arn))}
        removed = _ids(surplus) - busy
        if removed:
            stack.remove_releases(removed, needed=needed_ids(pointer))
        return Pruned(removed=frozenset(removed), busy=frozenset(busy))

    def verify(self, result: Pruned) -> None:
        if left := result.removed & _ids(self.ports.stack.releases()):
            raise CapctlError(
                "release-not-removed",
                f"Old releases still exist after they were removed: {_listed(left)}",
                hint="The next deploy tries again",
            )


def surplus_releases(
    releases: tuple[DeployedRelease, ...], pointer: Pointer | None, *, keep: int
) -> tuple[DeployedRelease, ...]:
    """Which of `releases`, oldest first, are beyond `keep`; never one that the pointer needs."""
    needed = needed_ids(pointer)
    others = [deployed for deployed in releases if deployed.id not in needed]
    room = max(keep - (len(releases) - len(others)), 0)
    return tuple(others[: max(len(others) - room, 0)])


def needed_ids(pointer: Pointer | None) -> set[str]:
    """Ids of the releases that nothing may remove: the one that takes jobs, and the one that a rollback leads to."""
    return {pointer.release_id, pointer.previous_release_id} - {""} if pointer else set()


def _ids(releases: tuple[DeployedRelease, ...]) -> set[str]:
    return {deployed.id for deployed in releases}


def _listed(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids))
