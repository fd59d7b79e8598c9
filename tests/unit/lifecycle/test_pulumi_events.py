"""The events of an engine as changes of resources, as a state, as errors, and as what a person sees."""

import pytest

from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.ports.stack import Operation, ResourceChange
from tests.fakes.engine_events import RELEASE, begun, ended, failed, said, urn_of
from tests.fakes.states import KINDS
from tests.fakes.ui import FakeUi

QUEUE, DEFINITION, ENVIRONMENT = KINDS["JobQueue"], KINDS["JobDefinition"], KINDS["ComputeEnvironment"]


def test_events_become_changes_and_groupings_are_left_out() -> None:
    log = EventLog(FakeUi())
    for event in (
        begun("create", "pulumi:pulumi:Stack", "s"),
        begun("create", RELEASE, "r"),
        begun("create-replacement", QUEUE, "q"),
        begun("replace", QUEUE, "q"),
        begun("same", DEFINITION, "d"),
    ):
        log(event)
    assert log.changes == (
        ResourceChange(operation=Operation.REPLACE, type=QUEUE, name="q"),
        ResourceChange(operation=Operation.SAME, type=DEFINITION, name="d"),
    )


@pytest.mark.parametrize("operation", list(Operation))
def test_change_names_the_release_that_it_belongs_to(operation: Operation) -> None:
    log = EventLog(FakeUi())
    log(begun(operation, QUEUE, "any-name", parent=f"{RELEASE}::0123456789ab"))
    (change,) = log.changes
    assert (change.operation, change.release_id) == (operation, "0123456789ab")


def test_errors_are_kept_and_debug_is_not_shown() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(said("debug", "registering resource"))
    log(said("warning", "using pulumi-resource-aws from $PATH at /x"))
    log(said("error", "<{%reset%}>AccessDenied: no<{%reset%}>", urn_of(QUEUE, "q")))
    assert log.errors == ["q: AccessDenied: no"]
    assert ui.lines == ["detail: pulumi: AccessDenied: no"]


def test_each_resource_that_changes_is_a_step_that_ends_with_it() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(begun("create", RELEASE, "r"))
    log(begun("same", DEFINITION, "d"))
    log(begun("create", ENVIRONMENT, "e"))
    assert ui.lines == []
    log(ended("same", DEFINITION, "d"))
    log(ended("create", ENVIRONMENT, "e"))
    log(begun("delete", QUEUE, "q"))
    log(ended("delete", QUEUE, "q"))
    log.close()
    assert ui.lines == ["✓ create ComputeEnvironment e", "✓ delete JobQueue q"]


def test_replacement_is_told_by_its_two_halves() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(begun("delete-replaced", QUEUE, "q"))
    log(ended("delete-replaced", QUEUE, "q"))
    log(begun("replace", QUEUE, "q"))
    log(ended("replace", QUEUE, "q"))
    log(begun("create-replacement", QUEUE, "q"))
    log(ended("create-replacement", QUEUE, "q"))
    assert ui.lines == ["✓ replace JobQueue q"] * 2


def test_resource_that_fails_is_a_failed_step() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(begun("create", ENVIRONMENT, "e"))
    log(said("error", "unexpected state\n 'INVALID'", urn_of(ENVIRONMENT, "e")))
    log(failed("create", ENVIRONMENT, "e"))
    assert ui.lines == ["detail: pulumi: unexpected state\n 'INVALID'", "✗ create ComputeEnvironment e"]


def test_resource_whose_end_was_not_told_is_not_told_as_done() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(begun("create", ENVIRONMENT, "e"))
    log.close()
    log.close()
    assert ui.lines == ["✗ create ComputeEnvironment e"]


def test_preview_shows_no_steps() -> None:
    ui = FakeUi()
    log = EventLog(ui, is_preview=True)
    log(begun("create", ENVIRONMENT, "e"))
    log(ended("create", ENVIRONMENT, "e"))
    log.close()
    assert ui.lines == ["detail: preview: create ComputeEnvironment e"]


def test_state_after_an_operation_has_what_was_made_and_lacks_what_was_deleted() -> None:
    log = EventLog(FakeUi())
    log(ended("create", ENVIRONMENT, "new", parent=f"{RELEASE}::r", id="i", inputs={"a": 1}, outputs={"arn": "x"}))
    log(ended("update", DEFINITION, "tried-again", outputs={"arn": "y"}))
    log(ended("delete", QUEUE, "gone"))
    before = [
        {"urn": urn_of(QUEUE, "gone"), "type": QUEUE},
        {"urn": urn_of(DEFINITION, "tried-again"), "created": "2025", "initErrors": ["INVALID"]},
        {"urn": urn_of(QUEUE, "untouched"), "type": QUEUE},
    ]
    tried_again, untouched, new = log.after({"resources": before, "manifest": {}})["resources"]
    assert untouched == before[2]
    assert (tried_again["outputs"], tried_again["created"], tried_again["initErrors"]) == ({"arn": "y"}, "2025", [])
    assert (new["urn"], new["type"], new["id"]) == (urn_of(ENVIRONMENT, "new"), ENVIRONMENT, "i")
    assert (new["inputs"], new["outputs"], new["created"][:4]) == ({"a": 1}, {"arn": "x"}, "2026")
    assert new["parent"].endswith(f"{RELEASE}::r")
