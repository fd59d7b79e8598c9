"""What the engine reports while it runs."""

import re
from typing import Any

from pulumi.automation.events import EngineEvent

from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.ports.ui import Ui
from pulumi_stack.standing import COMPONENT

_OPERATIONS = {operation.value: operation for operation in Operation} | {
    "create-replacement": Operation.REPLACE,
    "delete-replaced": Operation.REPLACE,
}
# Groupings and the engine's own records; nothing of them exists outside the state.
_NOT_IN_THE_CLOUD = ("pulumi:", "capctl:")
_PLUGIN_ON_PATH = "using pulumi-resource-"
_COLOUR = re.compile(r"<\{%.*?%\}>")


class EventLog:
    """Changes and diagnostics of one operation; each line goes to `ui.detail` when it arrives."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._changes: dict[str, ResourceChange] = {}
        self.errors: list[str] = []

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        """One change per resource, in the engine's order."""
        return tuple(self._changes.values())

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._begun(event.resource_pre_event.metadata)
        elif event.diagnostic_event:
            self._diagnosed(event.diagnostic_event)

    def _begun(self, metadata: Any) -> None:
        kind, operation = str(metadata.type), _OPERATIONS.get(str(getattr(metadata.op, "value", metadata.op)))
        if operation is None or kind.startswith(_NOT_IN_THE_CLOUD):
            return
        name = str(metadata.urn).rpartition("::")[2]
        self._changes[str(metadata.urn)] = ResourceChange(
            operation=operation, type=kind, name=name, release_id=_release_id(metadata)
        )
        if operation is not Operation.SAME:
            self._ui.detail(f"{operation} {kind.rpartition(':')[2]} {name}")

    def _diagnosed(self, diagnostic: Any) -> None:
        text = _COLOUR.sub("", diagnostic.message).strip()
        if not text or diagnostic.severity == "debug" or text.startswith(_PLUGIN_ON_PATH):
            return
        if diagnostic.severity == "error":
            name = str(diagnostic.urn or "").rpartition("::")[2]
            self.errors.append(f"{name}: {text}" if name else text)
        self._ui.detail(f"pulumi: {text}")


def _release_id(metadata: Any) -> str | None:
    """The name of the release above a resource."""
    kind, _, name = str((metadata.new or metadata.old).parent).rpartition("::")
    return name if kind.endswith(f"::{COMPONENT}") else None
