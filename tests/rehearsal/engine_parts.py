"""What tests of the engine on the real Pulumi CLI share: what it did, what it started, what AWS has of a release, and what goes wrong."""

from __future__ import annotations

import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_change import ReleasesChange
from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from pulumi_stack.standing import DEFINITION, ENVIRONMENT, QUEUE, TEMPLATE
from tests.failures import code_of
from tests.rehearsal.slow_door import LosingDoor
from tests.rehearsal.stage_parts import PulumiStage

PARTS = (TEMPLATE, DEFINITION, ENVIRONMENT, QUEUE)


def jobless_emulator(folder: Path, **options: Any) -> Emulator:
    return Emulator(
        EmulatorOptions(state=folder, rehearsal=f"test-{uuid.uuid4().hex[:8]}", no_engine="no job runs here", **options)
    )


def told_updates(patch: pytest.MonkeyPatch) -> list[tuple[ResourceChange, ...]]:
    """What each update did that succeeds from now on."""
    done: list[tuple[ResourceChange, ...]] = []
    up = PulumiEngine.up

    def told(self: PulumiEngine, *arguments: Any, **options: Any) -> EventLog:
        log = up(self, *arguments, **options)
        done.append(log.changes)
        return log

    patch.setattr(PulumiEngine, "up", told)
    return done


def told_calls(patch: pytest.MonkeyPatch) -> list[str]:
    """The commands of the Pulumi CLI of which a process is started from now on; each run asks one on PATH once for its version, which is
    left out."""
    started: list[str] = []
    popen = subprocess.Popen

    class Counted(popen):  # type: ignore[misc, valid-type]
        def __init__(self, command: Any, *arguments: Any, **options: Any) -> None:
            super().__init__(command, *arguments, **options)
            programs = [Path(word).name for word in command] if isinstance(command, list) else []
            if "pulumi" in programs and command[-1] != "version":
                words = command[programs.index("pulumi") + 2 :][:2]
                started.append(" ".join(word for word in words if not word.startswith("-")))

    patch.setattr(subprocess, "Popen", Counted)
    return started


def did(changes: Iterable[ResourceChange]) -> list[tuple[str, str, str]]:
    """Operation and resource, in no order: the engine works on several at a time."""
    return sorted((str(change.operation), change.type, change.name) for change in changes)


def counted(changes: Iterable[ResourceChange], release_id: str) -> Counter[Operation]:
    return Counter(change.operation for change in changes if change.release_id == release_id)


def removal(stack: PulumiStack, ids: Collection[str]) -> tuple[ResourceChange, ...]:
    """What `remove_releases` would do, which no command shows."""
    state = stack._engine.export("releases") or {}
    change = ReleasesChange.from_state(state, removed=ids)
    program = change.program(stack._target, stack.base(), state)
    return stack._engine.preview("releases", program, targets=change.targets(stack._target, state))


def taken(stage: PulumiStage, release_id: str) -> Callable[[], None]:
    """Let somebody else have the name of a release's queue, so that its creation fails in the middle; returns what ends that."""
    batch, name = stage.session.client("batch"), f"{stage.target.project}-{release_id}"
    (first,) = batch.describe_compute_environments()["computeEnvironments"][:1]
    batch.create_job_queue(
        jobQueueName=name,
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": first["computeEnvironmentArn"]}],
    )

    def give_back() -> None:
        batch.update_job_queue(jobQueue=name, state="DISABLED")
        batch.delete_job_queue(jobQueue=name)

    return give_back


def lose(door: LosingDoor, operation: str, action: Callable[[], object]) -> None:
    """Let the first answer to the operation be lost, as after all that an SDK repeats: the CLI ends with an error."""
    door.lost.clear()
    door.loses = lambda request: f"{operation} " in f"{request.replace('&', ' ')} " and not door.lost
    assert code_of(action) == "aws-unreachable"
    assert [answer[:3] for answer in door.lost] == ["200"]
    door.loses = lambda _: False


def named(stage: PulumiStage, release_id: str) -> dict[str, list[str]]:
    """What AWS has of a release, by kind."""
    batch, ec2 = stage.session.client("batch"), stage.session.client("ec2")
    name = f"{stage.target.project}-{release_id}"
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    definitions = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    environments = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    queues = batch.describe_job_queues(jobQueues=[name])["jobQueues"]
    return {
        TEMPLATE: [one["LaunchTemplateId"] for one in templates if one["LaunchTemplateName"] == name],
        DEFINITION: [one["jobDefinitionArn"] for one in definitions],
        ENVIRONMENT: [one["computeEnvironmentName"] for one in environments],
        QUEUE: [one["jobQueueArn"] for one in queues],
    }
