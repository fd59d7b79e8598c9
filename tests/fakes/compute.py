"""`ports.Compute` in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from lifecycle.domain.compute import (
    DefinitionRecord,
    EnvironmentRecord,
    HostRecord,
    QueueRecord,
    TemplateRecord,
)
from lifecycle.domain.job import QueueState
from lifecycle.errors import CapctlError
from tests.fakes.stack import FakeStack, recorded

Part = TypeVar("Part")


class FakeCompute:
    """What the releases of a `FakeStack` have, all of it as it was made, but for what a test does behind capctl's back.

    `changed` replaces fields of the parts whose ARN or id it names, those in `gone` do not exist, `strays` exist without a release.
    `running` are the instances. `refused` is raised by the calls of its names.
    """

    def __init__(self, stack: FakeStack) -> None:
        self._stack = stack
        self.changed: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()
        self.strays: list[object] = []
        self.running: list[HostRecord] = []
        self.refused: dict[str, CapctlError] = {}

    def queues(self) -> tuple[QueueRecord, ...]:
        self._ask("queues")
        return self._found(
            QueueRecord,
            {
                one.job_queue_arn: QueueRecord(
                    arn=one.job_queue_arn,
                    name=f"vision-{one.id}",
                    state=QueueState.VALID,
                    reason="",
                    is_enabled=True,
                    environment_arns=(one.compute_environment_arn,),
                )
                for one in self._stack.releases()
            },
        )

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        self._ask("environments")
        return self._found(
            EnvironmentRecord,
            {
                one.deployed.compute_environment_arn: EnvironmentRecord(
                    arn=one.deployed.compute_environment_arn,
                    name=f"vision-{one.deployed.id}",
                    state=QueueState.VALID,
                    reason="",
                    is_enabled=True,
                    max_vcpus=one.max_vcpus,
                    template_id=one.template_id,
                    template_version=one.template_version,
                )
                for one in map(recorded, self._stack.releases())
            },
        )

    def definitions(self) -> tuple[DefinitionRecord, ...]:
        self._ask("definitions")
        return self._found(
            DefinitionRecord,
            {
                one.job_definition_arn: DefinitionRecord(
                    arn=one.job_definition_arn, name=f"vision-{one.id}", image=str(one.image)
                )
                for one in self._stack.releases()
            },
        )

    def templates(self) -> tuple[TemplateRecord, ...]:
        self._ask("templates")
        return self._found(
            TemplateRecord,
            {
                f"lt-{one.id}": TemplateRecord(id=f"lt-{one.id}", name=f"vision-{one.id}", amis={"1": one.ami_id})
                for one in self._stack.releases()
            },
        )

    def hosts(self) -> tuple[HostRecord, ...]:
        self._ask("hosts")
        return tuple(self.running)

    def _found(self, kind: type[Part], parts: dict[str, Part]) -> tuple[Part, ...]:
        standing: dict[str, Any] = {name: part for name, part in parts.items() if name not in self.gone}
        shown = [replace(part, **self.changed.get(name, {})) for name, part in standing.items()]
        return (*shown, *(stray for stray in self.strays if isinstance(stray, kind)))

    def _ask(self, name: str) -> None:
        if name in self.refused:
            raise self.refused[name]
