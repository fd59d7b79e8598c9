"""`capctl release` with real parts: what it costs when nothing changed, what it leaves when it fails, and that it goes on after a kill."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.dev.iam import is_read
from tests.rehearsal.iam_calls import actions_by_caller, recorded
from tests.rehearsal.kept_stage import KeptStage, Project

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]

NAMES = ["bake", "push", "deploy", "promote"]
# What an unchanged release may ask of AWS; the registry is asked besides.
MOST_CALLS = 20


def outcomes(document: dict[str, Any]) -> list[str]:
    assert [stage["name"] for stage in document["stages"]] == NAMES
    return [stage["outcome"] for stage in document["stages"]]


def test_release_does_what_is_new_and_the_next_one_nothing(project: Project, kept: KeptStage) -> None:
    page = project.folder.parent / "page.md"
    before = project.done("status")["pointer"]["release_id"]
    project.change_code("released")
    first = project("release", "--yes", "--summary", str(page), "--reason", "a test | with a bar")
    assert first.exit_code == 0, first.said
    # The bake lets `candidate` name the AMI again, if another test moved it.
    assert outcomes(first.document)[1:] == ["changed", "changed", "left-out"]
    assert first.document["roll_back_to"] == before
    assert first.document["smoke"]["ok"]
    traces, asked = kept.bake_traces(), len(recorded(kept))
    again = project("release", "--yes", "--summary", str(page))
    calls = [call for call in recorded(kept)[asked:] if actions_by_caller([call]).keys() == {"release"}]
    assert outcomes(again.document) == ["unchanged", "unchanged", "unchanged", "left-out"]
    assert not again.document["changed"]
    assert again.document["pointer"] == first.document["pointer"] == project.done("status")["pointer"]
    assert 0 < len(calls) <= MOST_CALLS
    assert all(is_read(action) for action in actions_by_caller(calls)["release"])
    assert kept.bake_traces() == traces
    assert again.seconds < first.seconds
    told = page.read_text()
    assert told.index(f"`{first.document['release_id']}` is active") < told.index("nothing to do")
    assert f"rollback --to {before}`" in told
    assert "a test \\| with a bar" in told


def test_code_that_is_bad_is_rolled_back_and_so_is_told(project: Project) -> None:
    page, before = project.folder.parent / "page.md", project.done("status")
    path = "analyzer/__init__.py"
    project.commit(path, (project.folder / path).read_text() + 'raise SystemExit("broken *on* purpose")\n')
    answer = project("release", "--yes", "--promote", "stable", "--summary", str(page))
    assert answer.exit_code == 7, answer.said
    assert answer.document["schema"] == "capctl.shipment/1"
    assert outcomes(answer.document)[1:] == ["changed", "rolled-back", "not-reached"]
    assert (answer.document["failure"]["code"], answer.document["failure"]["exit_code"]) == ("smoke-failed", 7)
    after = project.done("status")
    assert after["pointer"] == before["pointer"] == answer.document["pointer"]
    assert [release["id"] for release in after["releases"]] == [release["id"] for release in before["releases"]]
    told = page.read_text()
    assert "## Release to `rehearsal`: rolled back" in told
    assert "broken *on* purpose" in told.partition("```text\n")[2].partition("```")[0]


@pytest.mark.parametrize("moment", ["push code image", "create release", "smoke release"])
def test_killed_release_is_finished_by_the_same_command(project: Project, moment: str) -> None:
    project.change_code(f"killed at: {moment}")
    running = project.start("release", "--yes", "-v")
    running.says(f"{moment}")
    running.says(" …")
    running.send(signal.SIGKILL)
    assert running.ended().exit_code == -signal.SIGKILL
    document = project.done("release", "--yes")
    assert outcomes(document)[2] == "changed"
    status = project.done("status")
    assert status["pointer"]["release_id"] == document["release_id"]
    assert [release["role"] for release in status["releases"]].count("candidate") == 0
    assert outcomes(project.done("release", "--yes"))[:3] == ["unchanged"] * 3


def test_release_that_was_rolled_back_from_is_refused(project: Project) -> None:
    project.change_code("to be rolled back")
    released = project.done("release", "--yes")["release_id"]
    back = project.done("rollback", "--yes")["pointer"]["release_id"]
    assert released in project.fails("release-rolled-back", 1, "release", "--yes")
    assert project.done("status")["pointer"]["release_id"] == back
