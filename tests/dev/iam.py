"""The IAM actions that capctl's commands need, collected from the workflows and their steps."""

import dataclasses
import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from lifecycle import workflows
from pulumi_stack.components.roles import execution_statements, instance_statements, job_statements

_READ = re.compile(r"\w+:(Get|List|Describe|BatchGet|BatchCheck|StartLifecyclePolicyPreview)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StepActions:
    """A step class, what it does in one line, and the actions it needs."""

    name: str
    does: str
    actions: frozenset[str]


def command_actions() -> dict[str, frozenset[str]]:
    """Every action by command, such as `ami bake`: what its workflows ask, what the steps need that its plan may have, and all that the
    commands need whose stages it goes through."""
    return _with_stages(
        _by_command(
            (command, frozenset(asked).union(*(step.actions for step in _steps(module))))
            for module, command, asked in _asked()
        )
    )


def asked_actions() -> dict[str, frozenset[str]]:
    """As `command_actions`, without what only the steps need."""
    return _with_stages(_by_command((command, frozenset(asked)) for _, command, asked in _asked()))


def step_actions() -> list[StepActions]:
    """Every step of every workflow, by name."""
    return sorted({step.name: step for module in _modules() for step in _steps(module)}.values(), key=lambda s: s.name)


def is_read(action: str) -> bool:
    """Whether an action changes nothing, by its verb."""
    return _READ.match(action) is not None


def job_actions() -> frozenset[str]:
    """What the role of the jobs allows."""
    return _of(job_statements("*", "*"))


def host_actions() -> frozenset[str]:
    """What the role of hosts allows."""
    return _of(instance_statements("*", "*"))


def start_actions() -> frozenset[str]:
    """What the role allows by which ECS starts a job that has a secret."""
    return _of(execution_statements("*"))


def _asked() -> Iterator[tuple[ModuleType, str, tuple[str, ...]]]:
    for module in _modules():
        for command, asked in getattr(module, "PERMISSIONS", {}).items():
            yield module, command, asked


def _by_command(found: Iterable[tuple[str, frozenset[str]]]) -> dict[str, frozenset[str]]:
    """All that is found of each command: more than one module may make its plans."""
    together: dict[str, frozenset[str]] = {}
    for command, actions in found:
        together[command] = together.get(command, frozenset()) | actions
    return together


def _with_stages(own: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    stages = {command: names for module in _modules() for command, names in getattr(module, "STAGES", {}).items()}
    return {
        command: actions.union(*(own[name] for name in stages.get(command, ()))) for command, actions in own.items()
    }


def _of(statements: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(action for statement in statements for action in statement["Action"])


def _modules() -> list[ModuleType]:
    return [import_module(f"lifecycle.workflows.{found.name}") for found in pkgutil.iter_modules(workflows.__path__)]


def _steps(module: ModuleType) -> list[StepActions]:
    """The steps that a module defines or takes from another one: those that its plan is made of."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    return [
        StepActions(
            name=kind.__name__, does=(kind.__doc__ or "").splitlines()[0], actions=frozenset(_permissions(kind))
        )
        for kind in kinds
        if {"describe", "apply", "verify"} <= set(dir(kind))
    ]


def _permissions(kind: type) -> tuple[str, ...]:
    default = next(field.default for field in dataclasses.fields(kind) if field.name == "permissions")
    assert isinstance(default, tuple)
    return default
