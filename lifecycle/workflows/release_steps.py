"""The steps by which a release comes to life."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import QueueState
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import (
    CHANGE_STATE,
    READ_AMIS,
    READ_IMAGES,
    READ_POINTER,
    READ_QUEUES,
    READ_RELEASES,
    READ_STATE,
)
from lifecycle.domain.release import Release, needed_ids
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports import Ports
from lifecycle.ports.jobs import QueueStatus
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.lookups import deployed_release

# Compute environments are valid within a minute or not at all; ten minutes is what Batch's own console waits. One that cannot start
# its hosts may be VALID for a moment before it is INVALID.
_VALID = Wait(shortest_s=0.5, longest_s=5.0, share=0.1, successes=3, timeout_s=600.0)

_CREATE = (
    *CHANGE_STATE,
    *READ_RELEASES,
    "batch:CreateComputeEnvironment",
    "batch:CreateJobQueue",
    "batch:RegisterJobDefinition",
    "batch:TagResource",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateTags",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRelease:
    """Add a release to those that exist; `require_ami` raises for an AMI that may not take jobs any more."""

    ports: Ports
    release: Release
    require_ami: Callable[[AmiId], object]
    permissions: tuple[str, ...] = (*_CREATE, *READ_AMIS, *READ_POINTER, *READ_IMAGES, "dynamodb:DeleteItem")

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
        self.require_ami(self.release.ami_id)
        self.ports.pointers.readmit(self.release.id)
        made = self.ports.stack.add_release(self.release, needed=needed_ids(self.ports.pointers.read()))
        return f"{counted(len(made), 'release')} now"

    def verify(self, _: str) -> None:
        if self.release.id not in {deployed.id for deployed in self.ports.stack.releases()}:
            raise CapctlError(
                "release-missing",
                f"Release `{self.release.id}` is not among those that exist after it was created",
                hint="Run `capctl deploy -v` again",
            )


def invalid_release(release_id: str, queue: QueueStatus) -> CapctlError | None:
    """The verdict on a release of whose queue, or compute environment, Batch says that it will never take a job; None while it may."""
    if not queue.state.is_settled or queue.state is QueueState.VALID:
        return None
    return CapctlError(
        "release-invalid",
        f"Batch says {queue.state} of release `{release_id}`: {queue.reason or 'no reason given'}",
        hint="Correct what Batch names, and deploy again",
        verdict=True,
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
        if invalid := invalid_release(self.release_id, queue):
            raise invalid
        return queue

    def _timed_out(self, queue: QueueStatus) -> TimedOut:
        return TimedOut(
            "release-pending",
            f"Release `{self.release_id}` was still {queue.state} after {_VALID.timeout_s:g} s",
            hint="Deploy again; AWS's health page may say why",
            verdict=queue.state is QueueState.MISSING,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRelease:
    """Let a release that exists take jobs, though it was to be removed once its jobs had ended."""

    ports: Ports
    release_id: str
    permissions: tuple[str, ...] = (*READ_STATE, "batch:UpdateJobQueue", "dynamodb:DeleteItem")

    def describe(self) -> str:
        return f"let release {self.release_id}, which exists, take jobs"

    def apply(self) -> str:
        self.ports.pointers.readmit(self.release_id)
        self.ports.jobs.open_queue(deployed_release(self.ports, self.release_id).job_queue_arn)
        return "its queue is open"

    def verify(self, _: str) -> None:
        """The smoke job that follows is the proof: a closed queue takes none."""
