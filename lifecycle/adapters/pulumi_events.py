"""What the engine reports while it runs."""

import re
from datetime import UTC, datetime
from typing import Any

from pulumi.automation.events import EngineEvent

from lifecycle.adapters.pulumi_lines import ResourceLines
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

_State = dict[str, Any]


class EventLog:
    """Changes, results and diagnostics of one operation; a person sees them as they arrive."""

    def __init__(self, ui: Ui, *, is_preview: bool = False) -> None:
        self._ui = ui
        self._is_preview = is_preview
        self._lines = ResourceLines(ui)
        self._changes: dict[str, ResourceChange] = {}
        self._results: dict[str, _State | None] = {}
        self.errors: list[str] = []

    @property
    def changes(self) -> tuple[ResourceChange, ...]:
        """One change per resource, in the engine's order."""
        return tuple(self._changes.values())

    def after(self, state: _State) -> _State:
        """The `state` from before, with what the operation made of its resources, as far as the engine tells."""
        before = {resource["urn"]: resource for resource in state.get("resources") or ()}
        resources = before | {
            urn: {"created": result["created"], **before.get(urn, {}), **result["now"]}
            for urn, result in self._results.items()
            if result
        }
        return {**state, "resources": [each for urn, each in resources.items() if self._results.get(urn, each)]}

    def close(self) -> None:
        """The engine has ended: what it has not said the end of is not finished."""
        self._lines.close()

    def __call__(self, event: EngineEvent) -> None:
        if event.resource_pre_event:
            self._begun(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._ended(event.res_outputs_event.metadata, event.timestamp)
        elif event.res_op_failed_event:
            self._lines.failed(_key(event.res_op_failed_event.metadata))
        elif event.diagnostic_event:
            self._diagnosed(event.diagnostic_event)

    def _begun(self, metadata: Any) -> None:
        kind, operation = str(metadata.type), _OPERATIONS.get(_op(metadata))
        if operation is None or kind.startswith(_NOT_IN_THE_CLOUD):
            return
        name = _name(metadata.urn)
        self._changes[str(metadata.urn)] = ResourceChange(
            operation=operation, type=kind, name=name, release_id=_release_id(metadata)
        )
        if operation is Operation.SAME:
            return
        title = f"{operation} {kind.rpartition(':')[2]} {name}"
        if self._is_preview:
            self._ui.detail(f"preview: {title}")
        elif _op(metadata) != "replace":  # the engine's word for a creation and a deletion that it tells by themselves
            self._lines.begun(_key(metadata), title)

    def _ended(self, metadata: Any, timestamp: int) -> None:
        self._lines.done(_key(metadata))
        if metadata.new is None:
            self._results[str(metadata.urn)] = None
            return
        new = metadata.new
        now = {"urn": str(new.urn), "type": str(new.type), "id": str(new.id or ""), "parent": str(new.parent or "")}
        self._results[str(metadata.urn)] = {
            "created": datetime.fromtimestamp(timestamp, UTC).isoformat(),
            "now": {**now, "inputs": dict(new.inputs or {}), "outputs": dict(new.outputs or {}), "initErrors": []},
        }

    def _diagnosed(self, diagnostic: Any) -> None:
        text = _COLOUR.sub("", diagnostic.message).strip()
        if not text or diagnostic.severity == "debug" or text.startswith(_PLUGIN_ON_PATH):
            return
        if diagnostic.severity == "error":
            name = _name(diagnostic.urn or "")
            self.errors.append(f"{name}: {text}" if name else text)
            self._lines.blame(str(diagnostic.urn or ""), text)
        self._ui.detail(f"pulumi: {text}")


def _op(metadata: Any) -> str:
    return str(getattr(metadata.op, "value", metadata.op))


def _key(metadata: Any) -> tuple[str, str]:
    return str(metadata.urn), _op(metadata)


def _name(urn: str) -> str:
    return str(urn).rpartition("::")[2]


def _release_id(metadata: Any) -> str | None:
    """The name of the release above a resource."""
    kind, _, name = str((metadata.new or metadata.old).parent).rpartition("::")
    return name if kind.endswith(f"::{COMPONENT}") else None
