"""The events of an engine as changes of resources and as errors."""

from types import SimpleNamespace
from typing import Any

import pytest

from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.ports.stack import Operation, ResourceChange
from tests.fakes.states import KINDS, URN
from tests.fakes.ui import FakeUi


def _pre_event(operation: str, kind: str, name: str, parent: str = "pulumi:pulumi:Stack::s") -> Any:
    state = SimpleNamespace(parent=f"{URN}{parent}")
    old, new = (state, None) if operation == "delete" else (None, state)
    metadata = SimpleNamespace(op=operation, type=kind, urn=f"{URN}{kind}::{name}", old=old, new=new)
    return SimpleNamespace(resource_pre_event=SimpleNamespace(metadata=metadata), diagnostic_event=None)


def _diagnostic(severity: str, message: str, urn: str = "") -> Any:
    diagnostic = SimpleNamespace(severity=severity, message=message, urn=urn)
    return SimpleNamespace(resource_pre_event=None, diagnostic_event=diagnostic)


def test_events_become_changes_and_groupings_are_left_out() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    for event in (
        _pre_event("create", "pulumi:pulumi:Stack", "s"),
        _pre_event("create", "capctl:release:Release", "r"),
        _pre_event("create-replacement", KINDS["JobQueue"], "q"),
        _pre_event("replace", KINDS["JobQueue"], "q"),
        _pre_event("same", KINDS["JobDefinition"], "d"),
    ):
        log(event)
    assert log.changes == (
        ResourceChange(operation=Operation.REPLACE, type=KINDS["JobQueue"], name="q"),
        ResourceChange(operation=Operation.SAME, type=KINDS["JobDefinition"], name="d"),
    )
    assert ui.lines == ["detail: replace JobQueue q", "detail: replace JobQueue q"]


@pytest.mark.parametrize("operation", list(Operation))
def test_change_names_the_release_that_it_belongs_to(operation: Operation) -> None:
    log = EventLog(FakeUi())
    log(_pre_event(operation, KINDS["JobQueue"], "any-name", parent="capctl:release:Release::0123456789ab"))
    (change,) = log.changes
    assert (change.operation, change.release_id) == (operation, "0123456789ab")


def test_errors_are_kept_and_debug_is_not_shown() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(_diagnostic("debug", "registering resource"))
    log(_diagnostic("warning", "using pulumi-resource-aws from $PATH at /x"))
    log(_diagnostic("error", "<{%reset%}>AccessDenied: no<{%reset%}>", f"{URN}{KINDS['JobQueue']}::q"))
    assert log.errors == ["q: AccessDenied: no"]
    assert ui.lines == ["detail: pulumi: AccessDenied: no"]
