"""Where jobs of `FakeBatch` run: compute environments, queues, job definitions, hosts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import QueueState
from lifecycle.domain.release import Release
from tests.fakes.clock import FakeClock

ACCOUNT = "arn:aws:batch:us-west-2:123456789012"
MOST_ENVIRONMENTS = 50


class BatchRefused(Exception):
    """Batch's `ClientException`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What an environment is from `after_s` seconds after it was created on."""

    after_s: float = 0.0
    state: QueueState = QueueState.VALID
    reason: str = "ComputeEnvironment Healthy"


HEALTHY = (Condition(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a job takes of a host; memory in MiB."""

    vcpus: int
    memory_mib: int
    gpus: int

    def fits(self, other: Needs) -> bool:
        """Whether it is within `other`."""
        return (
            self.vcpus <= other.vcpus and self.memory_mib <= other.memory_mib and self.gpus <= other.gpus
        )  # fmt: skip


# What is left of the memory for jobs is less than the type has: the agent and the kernel take some.
SIZES = {
    "g4dn.xlarge": Needs(vcpus=4, memory_mib=15_500, gpus=1),
    "g5.xlarge": Needs(vcpus=4, memory_mib=15_500, gpus=1),
    "g5.2xlarge": Needs(vcpus=8, memory_mib=31_500, gpus=1),
    "g5.12xlarge": Needs(vcpus=48, memory_mib=190_000, gpus=4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A revision of a job definition; `timeout_s` None = no limit."""

    arn: str
    image: str
    needs: Needs
    timeout_s: int | None
    strategy: Callable[[], Mapping[str, Any]]
    prefix: str


@dataclass(slots=True, kw_only=True)
class Environment:
    """A compute environment; `course` says what it is when."""

    arn: str
    ami_id: AmiId
    instance_types: tuple[str, ...]
    max_vcpus: int
    course: tuple[Condition, ...]
    created_s: float
    is_enabled: bool = True

    def condition(self, now_s: float) -> Condition:
        """What it is now; CREATING before the first of `course`."""
        passed = [one for one in self.course if self.created_s + one.after_s <= now_s]
        return passed[-1] if passed else Condition(state=QueueState.CREATING, reason="")

    def misfit(self, needs: Needs) -> str:
        """Why no host of it can ever take a job, in Batch's words, or ""."""
        if needs.vcpus > self.max_vcpus:
            return "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - the job needs more vCPUs than maxvCpus"
        # What a type has that is not in the table, nobody asks here.
        if all(kind in SIZES and not needs.fits(SIZES[kind]) for kind in self.instance_types):
            return "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no instance type has what the job needs"
        return ""


@dataclass(slots=True, kw_only=True)
class Queue:
    """A job queue on one environment; `gone_s` is when it was deleted."""

    arn: str
    environment_arn: str
    is_enabled: bool = True
    gone_s: float = math.inf


@dataclass(slots=True, kw_only=True)
class Host:
    """An EC2 instance in an environment's cluster, there until `gone_s`."""

    instance_id: str
    arn: str
    ami_id: AmiId
    instance_type: str
    environment_arn: str
    gone_s: float = field(default=math.inf)


class BatchCompute:
    """What jobs run on.

    `templates` are the AMIs of EC2's launch templates by their names. `environments_become` is the course of the environments that are
    made from now on; `foreign_environments` counts those of others.
    `lingers_s`: how long a deleted queue's relation to its environment lingers.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.templates: dict[str, AmiId] = {}
        self.environments: dict[str, Environment] = {}
        self.queues: dict[str, Queue] = {}
        self.definitions: dict[str, Definition] = {}
        self.environments_become: tuple[Condition, ...] = HEALTHY
        self.foreign_environments = 0
        self.lingers_s = 0.0
        self._revisions: Counter[str] = Counter()
        self._hosts: dict[str, Host] = {}

    def create_environment(self, name: str, release: Release) -> str:
        """The ARN. Raises `BatchRefused` at the quota."""
        if len(self.environment_names()) >= MOST_ENVIRONMENTS:
            raise BatchRefused(f"the account has {MOST_ENVIRONMENTS} compute environments, which is all that it may")
        arn = f"{ACCOUNT}:compute-environment/{name}"
        self.environments[arn] = Environment(
            arn=arn,
            ami_id=release.ami_id,
            instance_types=release.parameters.instance_types,
            max_vcpus=release.parameters.max_vcpus,
            course=self.environments_become,
            created_s=self.clock.monotonic(),
        )
        return arn

    def condition(self, environment_arn: str) -> Condition:
        """What the environment is now."""
        return self.environments[environment_arn].condition(self.clock.monotonic())

    def delete_environment(self, arn: str) -> None:
        """Raises `BatchRefused` while a queue has it, or had it a moment ago."""
        self.advance()
        now_s = self.clock.monotonic()
        if any(
            queue.environment_arn == arn and now_s < queue.gone_s + self.lingers_s for queue in self.queues.values()
        ):
            raise BatchRefused("Cannot delete, found existing JobQueue relationship")
        self.environments.pop(arn, None)
        for host in self._hosts.values():
            if host.environment_arn == arn:
                host.gone_s = min(host.gone_s, now_s)

    def environment_names(self) -> frozenset[str]:
        foreign = (f"foreign-{number}" for number in range(self.foreign_environments))
        return frozenset((*(arn.rpartition("/")[2] for arn in self.environments), *foreign))

    def create_queue(self, name: str, environment_arn: str) -> str:
        """The ARN. Raises `BatchRefused` unless the environment is VALID."""
        state = self.condition(environment_arn).state
        if state is not QueueState.VALID:
            raise BatchRefused(f"{environment_arn} is not VALID, it is {state}")
        arn = f"{ACCOUNT}:job-queue/{name}"
        self.queues[arn] = Queue(arn=arn, environment_arn=environment_arn)
        return arn

    def delete_queue(self, arn: str) -> None:
        """Its jobs are terminated."""
        self.advance()
        if self.has_queue(arn):
            self.queues[arn].gone_s = self.clock.monotonic()
            self._queue_is_gone(arn)

    def switch_queue(self, arn: str, *, is_enabled: bool) -> None:
        """Let it take jobs, or none any more; those that it has run to their end."""
        if self.has_queue(arn):
            self.queues[arn].is_enabled = is_enabled

    def has_queue(self, arn: str) -> bool:
        return arn in self.queues and self.queues[arn].gone_s == math.inf

    def register_definition(self, name: str, release: Release) -> str:
        """The ARN of the next revision; Batch counts them on, also when all were deregistered."""
        self._revisions[name] += 1
        arn = f"{ACCOUNT}:job-definition/{name}:{self._revisions[name]}"
        self.definitions[arn] = definition_of(release, arn)
        return arn

    def revisions_of(self, name: str) -> list[str]:
        """The ARNs of the ACTIVE revisions."""
        return [arn for arn in self.definitions if arn.rpartition(":")[0].endswith(f"/{name}")]

    def deregister_definitions(self, name: str) -> None:
        """All revisions of the name."""
        for arn in self.revisions_of(name):
            del self.definitions[arn]

    def advance(self) -> None:
        """Let everything happen that is due."""

    def _queue_is_gone(self, arn: str) -> None:
        """A queue was deleted."""


def definition_of(release: Release, arn: str) -> Definition:
    """What `RegisterJobDefinition` is told of a release."""
    parameters = release.parameters
    return Definition(
        arn=arn,
        image=str(release.image),
        needs=Needs(vcpus=parameters.vcpus, memory_mib=parameters.memory_mib, gpus=parameters.gpus),
        timeout_s=parameters.timeout_s,
        # Pulumi's AWS library takes half a second to import, and only an attempt that failed asks.
        strategy=lambda: strategy_of(parameters.attempts),
        prefix=release.id,
    )


@cache
def strategy_of(attempts: int) -> Mapping[str, Any]:
    """The `retryStrategy` of the Pulumi program, as Batch gets it."""
    from pulumi_stack.components.container import retry_strategy

    names = {
        "action": "action",
        "on_exit_code": "onExitCode",
        "on_reason": "onReason",
        "on_status_reason": "onStatusReason",
    }
    strategy = retry_strategy(attempts)
    rules = [{name: getattr(rule, ours) for ours, name in names.items()} for rule in strategy.evaluate_on_exits]
    return {
        "attempts": strategy.attempts,
        "evaluateOnExit": [{name: value for name, value in rule.items() if value is not None} for rule in rules],
    }
