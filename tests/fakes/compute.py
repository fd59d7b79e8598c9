"""`ports.Compute` on `FakeBatch`."""

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
from tests.fakes.stack import FakeStack, template_id

Part = TypeVar("Part")


class FakeCompute:
    """What the account has, but for what a test does behind capctl's back.

    `changed` replaces fields of the parts whose ARN or id it names, those in `gone` do not exist, `strays` exist without a release.
    `running` are the instances. `refused` is raised by the calls of its names.
    """

    def __init__(self, stack: FakeStack) -> None:
        self._batch = stack.batch
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
                queue.arn: QueueRecord(
                    arn=queue.arn,
                    name=_name(queue.arn),
                    state=QueueState.VALID,
                    reason="",
                    is_enabled=queue.is_enabled,
                    environment_arns=(queue.environment_arn,),
                )
                for queue in self._batch.queues.values()
                if self._batch.has_queue(queue.arn)
            },
        )

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        self._ask("environments")
        conditions = {arn: self._batch.condition(arn) for arn in self._batch.environments}
        return self._found(
            EnvironmentRecord,
            {
                arn: EnvironmentRecord(
                    arn=arn,
                    name=_name(arn),
                    state=conditions[arn].state,
                    reason=conditions[arn].reason,
                    is_enabled=environment.is_enabled,
                    max_vcpus=environment.max_vcpus,
                    template_id=template_id(_name(arn)),
                    template_version="1",
                )
                for arn, environment in self._batch.environments.items()
            },
        )

    def definitions(self) -> tuple[DefinitionRecord, ...]:
        self._ask("definitions")
        return self._found(
            DefinitionRecord,
            {
                arn: DefinitionRecord(arn=arn, name=_name(arn).rpartition(":")[0], image=definition.image)
                for arn, definition in self._batch.definitions.items()
            },
        )

    def templates(self) -> tuple[TemplateRecord, ...]:
        self._ask("templates")
        return self._found(
            TemplateRecord,
            {
                template_id(name): TemplateRecord(id=template_id(name), name=name, amis={"1": ami_id})
                for name, ami_id in self._batch.templates.items()
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


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
