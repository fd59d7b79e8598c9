"""Events as the Pulumi engine sends them."""

from typing import Any

from pulumi.automation.events import (
    DiagnosticEvent,
    EngineEvent,
    OpType,
    ResOpFailedEvent,
    ResourcePreEvent,
    ResOutputsEvent,
    StepEventMetadata,
    StepEventStateMetadata,
)

from tests.fakes.states import URN

RELEASE = "capctl:release:Release"


def urn_of(kind: str, name: str) -> str:
    return f"{URN}{kind}::{name}"


def begun(operation: str, kind: str, name: str, *, parent: str = "pulumi:pulumi:Stack::s") -> EngineEvent:
    """The engine turns to a resource."""
    return _event(resource_pre_event=ResourcePreEvent(_step(operation, kind, name, parent)))


def ended(operation: str, kind: str, name: str, *, parent: str = "pulumi:pulumi:Stack::s", **given: Any) -> EngineEvent:
    """It is done with it; `given` are `id`, `inputs` and `outputs`."""
    return _event(res_outputs_event=ResOutputsEvent(_step(operation, kind, name, parent, **given)))


def failed(operation: str, kind: str, name: str) -> EngineEvent:
    """It could not do it."""
    return _event(res_op_failed_event=ResOpFailedEvent(_step(operation, kind, name, ""), status=1, steps=1))


def said(severity: str, message: str, urn: str = "") -> EngineEvent:
    """A message, about a resource where there is a `urn`."""
    return _event(diagnostic_event=DiagnosticEvent(message=message, color="never", severity=severity, urn=urn))


def _event(**given: Any) -> EngineEvent:
    return EngineEvent(sequence=1, timestamp=1_767_225_600, **given)


def _step(operation: str, kind: str, name: str, parent: str, **given: Any) -> StepEventMetadata:
    fields = {"id": "", "inputs": {}, "outputs": {}, **given}
    urn = urn_of(kind, name)
    state = StepEventStateMetadata(type=kind, urn=urn, parent=f"{URN}{parent}", provider="", **fields)
    old, new = (state, None) if operation == "delete" else (None, state)
    return StepEventMetadata(op=OpType(operation), urn=urn, type=kind, provider="", old=old, new=new)
