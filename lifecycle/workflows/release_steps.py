"""The steps by which releases come and go."""

from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.release import DeployedRelease, Pointer, Release
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied, TimedOut
from lifecycle.ports.clock import Clock
from lifecycle.ports.jobs import Jobs
from lifecycle.ports.pointers import Pointers
from lifecycle.ports.stack import Stack
from lifecycle.ports.ui import Ui
from lifecycle.workflows.promote import deployed_release

# Compute environments are valid within a minute or not at all; ten minutes is what Batch's own console waits.
_VALID_TIMEOUT_S = 600.0
_VALID_POLL_S = 1.0

_CREATE = (
    "batch:CreateComputeEnvironment",
    "batch:CreateJobQueue",
    "batch:DescribeComputeEnvironments",
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:RegisterJobDefinition",
    "batch:TagResource",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateTags",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "iam:PassRole",
)
_DELETE = (
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

    stack: Stack
    release: Release
    permissions: tuple[str, ...] = _CREATE

    def describe(self) -> str:
        return f"create release {self.release.id}: AMI {self.release.ami_id}, image {self.release.image.digest}"

    def apply(self) -> str:
        return f"{len(self.stack.add_release(self.release))} releases exist"

    def verify(self) -> None:
        if self.release.id not in _ids(self.stack.releases()):
            raise CapctlError(
                "release-missing",
                f"Release `{self.release.id}` is not among those that exist after it was created",
                hint="Run `capctl deploy -v` again",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitValid:
    """Wait until Batch accepts the release's compute environment and queue."""

    stack: Stack
    jobs: Jobs
    clock: Clock
    release_id: str
    permissions: tuple[str, ...] = ("batch:DescribeComputeEnvironments", "batch:DescribeJobQueues")

    def describe(self) -> str:
        return f"wait until the queue of release {self.release_id} is VALID"

    def apply(self) -> str:
        queue_arn = deployed_release(self.stack, self.release_id).job_queue_arn
        started = self.clock.monotonic()
        while True:
            state, reason = self.jobs.queue_state(queue_arn)
            waited_s = self.clock.monotonic() - started
            if state == "VALID":
                return f"VALID after {waited_s:.1f} s"
            if state not in {"CREATING", "UPDATING"}:
                raise CapctlError(
                    "release-invalid",
                    f"Batch says {state} of release `{self.release_id}`: {reason or 'no reason given'}",
                    hint="Correct what Batch names, and deploy again",
                )
            if waited_s >= _VALID_TIMEOUT_S:
                raise TimedOut(
                    "release-pending",
                    f"Release `{self.release_id}` was still {state} after {waited_s:.0f} s",
                    hint="Deploy again; AWS's health page may say why",
                )
            self.clock.sleep(_VALID_POLL_S)

    def verify(self) -> None:
        """The wait ended with Batch's own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRelease:
    """Remove a release again, unless the pointer needs it.

    Raises `PartlyApplied("release-active")` when the pointer names it: then the former state is not back in place.
    """

    stack: Stack
    pointers: Pointers
    release_id: str
    permissions: tuple[str, ...] = (*_DELETE, "dynamodb:GetItem")

    def describe(self) -> str:
        return f"remove release {self.release_id}, unless the pointer needs it"

    def apply(self) -> str:
        pointer = self.pointers.read()
        if pointer and pointer.release_id == self.release_id:
            raise PartlyApplied(
                "release-active",
                f"The pointer names release `{self.release_id}`, which takes jobs and is not removed",
                hint="Run `capctl rollback`, or look at `capctl status` whether somebody else wants it there",
            )
        if self.release_id in _needed(pointer):
            return "kept, the pointer needs it"
        # Asked for even when the release is not listed: what a failed creation left belongs to no list.
        self.stack.remove_releases({self.release_id})
        return "removed"

    def verify(self) -> None:
        if self.release_id in _needed(self.pointers.read()):
            return
        if self.release_id in _ids(self.stack.releases()):
            raise CapctlError(
                "release-not-removed",
                f"Release `{self.release_id}` still exists after it was removed",
                hint="Run `capctl deploy` again; it removes what is half there",
            )


@dataclass(slots=True, kw_only=True)
class PruneReleases:
    """Remove old releases; the active one, the one before it and those with unfinished jobs stay.

    The new release takes jobs already when this runs, so a failure here takes nothing back: the next deploy tries again.
    `pruned` is set by `apply`, for `verify`.
    """

    stack: Stack
    jobs: Jobs
    pointers: Pointers
    ui: Ui
    keep: int
    pruned: frozenset[str] = frozenset()
    permissions: tuple[str, ...] = (*_DELETE, "batch:DescribeJobs", "batch:ListJobs", "dynamodb:GetItem")

    def describe(self) -> str:
        return f"prune releases beyond {self.keep}"

    def apply(self) -> str:
        try:
            return self._pruned()
        except Interrupted:
            raise
        except CapctlError as error:
            self.ui.warn(f"Old releases were not pruned, the next deploy tries again: {error.message}")
            return f"left for the next deploy: {error.code}"

    def verify(self) -> None:
        if left := self.pruned & _ids(self.stack.releases()):
            self.ui.warn(
                f"Old releases still exist after they were pruned, the next deploy tries again: {_listed(left)}"
            )

    def _pruned(self) -> str:
        surplus = surplus_releases(self.stack.releases(), self.pointers.read(), keep=self.keep)
        busy = {d.release.id for d in surplus if any(not j.state.is_final for j in self.jobs.list(d.job_queue_arn))}
        pruned = frozenset(_ids(surplus) - busy)
        if pruned:
            self.stack.remove_releases(pruned)
        self.pruned = pruned
        said = [f"pruned {_listed(pruned)}" if pruned else "nothing to prune"]
        said += [f"kept {release_id}, it has unfinished jobs" for release_id in sorted(busy)]
        return "; ".join(said)


def surplus_releases(
    releases: tuple[DeployedRelease, ...], pointer: Pointer | None, *, keep: int
) -> tuple[DeployedRelease, ...]:
    """Which of `releases`, oldest first, are beyond `keep`; never one that the pointer needs."""
    needed = _needed(pointer)
    others = [deployed for deployed in releases if deployed.release.id not in needed]
    room = max(keep - (len(releases) - len(others)), 0)
    return tuple(others[: max(len(others) - room, 0)])


def _ids(releases: tuple[DeployedRelease, ...]) -> set[str]:
    return {deployed.release.id for deployed in releases}


def _listed(ids: Collection[str]) -> str:
    return ", ".join(sorted(ids))


def _needed(pointer: Pointer | None) -> set[str]:
    return {pointer.release_id, pointer.previous_release_id} - {""} if pointer else set()
