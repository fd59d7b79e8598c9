"""Instances that check the AMI they were started from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lifecycle.domain.ami import AmiId
from lifecycle.domain.models import ModelSet
from lifecycle.domain.place import Place
from lifecycle.domain.states import ServiceState


class InstanceState(ServiceState):
    """EC2's own state of an instance; `unknown` stands for one that EC2 does not show yet, or does not show any more."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    UNKNOWN = "unknown"

    @property
    def is_over(self) -> bool:
        """Whether nothing runs on it any more, nor ever will."""
        return self in {InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRecord:
    """An instance. `reason` is EC2's own for its last change of state, "" where it tells none."""

    id: str
    state: InstanceState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRequest:
    """`inputs` maps each name of `Instances.inputs` to a URL that reads it, `report_url` takes the report. `limit_s` is for the check."""

    ami_id: AmiId
    place: Place
    profile: str | None
    inputs: Mapping[str, str]
    report_url: str
    limit_s: int
    tags: Mapping[str, str]
    token: str


class Instances(Protocol):
    """Errors: `Denied`, `Inconclusive("no-capacity" | "aws-throttled")`, `CapctlError("aws-unclear" | "aws-unreachable")`."""

    def inputs(self, models: ModelSet) -> Mapping[str, bytes]:
        """What an instance must read, by name, to check that its disk holds exactly the set."""

    def launch(self, request: BootRequest) -> str:
        """Start one that checks its disk, reports and ends itself; its id. The same request never gives two: repeated, it
        gives the id of the first, also when that one is over."""

    def state(self, instance_id: str) -> InstanceRecord:
        """What EC2 says of an instance now."""

    def terminate(self, instance_id: str) -> None:
        """End it; repeating it changes nothing."""
