"""The environment of a stage that was kept, and what is told about stages that are there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lifecycle.errors import UsageError
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.perform import Outcome, end, look_around
from lifecycle.rehearsal.report import Report
from lifecycle.rehearsal.shell import EXPORTED, leave_lines
from lifecycle.rehearsal.stage_folders import (
    abandoned_stages,
    kept_stages,
    make_stage_folder,
    mark_kept,
    record_registry,
    registry_of,
    rehearsal_of,
    stages_folder,
)
from tests.fakes.ui import FakeUi

REPORT = Report(ok=True, seconds=1.0, peak_rss_bytes=1, steps=())
ODD = {"A": "plain", "B": "two words; $(touch no) 'x' \"y\"", "C": "line\nbreak"}


def test_export_lines_give_a_shell_the_environment_as_it_is() -> None:
    exports = Outcome(report=REPORT, environment=ODD, failure=None).exports()
    script = f"AWS_PROFILE=mine\n{exports}\nexec env --null"
    printed = subprocess.run(
        ["sh", "-c", 'eval "$0"', script], capture_output=True, text=True, check=True, env={}
    ).stdout
    found = dict(line.split("=", 1) for line in printed.split("\0") if line)
    assert {name: found.get(name) for name in ODD} == ODD
    assert "AWS_PROFILE" not in found


def test_document_holds_the_environment_of_a_kept_stage_only() -> None:
    kept = Outcome(report=REPORT, environment=ODD, failure=None)
    ended = Outcome(report=REPORT, environment=None, failure=None)
    assert kept.document() == {**ended.document(), "environment": ODD}
    assert ended.document() == REPORT.document()
    assert ended.exports() == ""


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return stages_folder()


def abandoned(stages: Path, identifier: str) -> Path:
    (stages / identifier).mkdir(parents=True)
    return stages / identifier


def test_stage_that_is_played_is_neither_kept_nor_abandoned(stages: Path) -> None:
    played, kept = make_stage_folder(), make_stage_folder()
    mark_kept(kept)
    killed = abandoned(stages, "000000-dead")
    assert kept_stages() == (kept.name,)
    assert abandoned_stages() == (killed.name,)
    ui = FakeUi()
    assert set(end(ui)) == {kept.name, killed.name}
    assert [folder.name for folder in stages.iterdir()] == [played.name]


def test_one_of_several_stages_can_be_ended(stages: Path) -> None:
    first, second = abandoned(stages, "000000-0001"), abandoned(stages, "000000-0002")
    assert end(FakeUi(), first.name) == (first.name,)
    assert list(stages.iterdir()) == [second]


def test_stage_that_is_not_there_or_played_cannot_be_ended(stages: Path) -> None:
    played, there = make_stage_folder(), abandoned(stages, "000000-0001")
    for identifier in (played.name, "nothing"):
        with pytest.raises(UsageError) as caught:
            end(FakeUi(), identifier)
        assert caught.value.code == "rehearsal-missing"
        assert there.name in caught.value.hint
    assert there.exists()
    assert played.exists()


def test_rehearsal_removes_killed_ones_and_one_that_is_kept_warns_of_others(stages: Path) -> None:
    killed, kept, ui = abandoned(stages, "000000-dead"), make_stage_folder(), FakeUi()
    mark_kept(kept)
    look_around(ui, keep=False)
    assert ui.lines == [f"Removed what rehearsal {killed.name} left behind"]
    assert not killed.exists()
    look_around(ui, keep=True)
    assert ui.lines[1:] == [f"warning: Rehearsal {kept.name} is up too, until `capctl rehearse --down {kept.name}`"]


def test_folder_tells_its_registry_and_whose_its_files_are(stages: Path) -> None:
    folder = make_stage_folder()
    assert registry_of(folder) is None
    record_registry(folder, "127.0.0.1:5000")
    assert registry_of(folder) == "127.0.0.1:5000"
    assert rehearsal_of(folder / "project" / "capctl.yaml") == folder.name
    assert rehearsal_of(Path("capctl.yaml")) is None


def test_shell_of_an_ended_stage_gets_lines_that_take_it_off(stages: Path) -> None:
    folder = make_stage_folder()
    path = f"{folder}/bin:/usr/bin:/bin"
    environment = {**dict.fromkeys(EXPORTED, "x"), REHEARSAL_VARIABLE: folder.name, "PATH": path}
    assert leave_lines(environment) == ""
    (folder / "owner").unlink()
    end(FakeUi(), folder.name)
    script = f"{leave_lines(environment)}\nexec env --null"
    printed = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=environment).stdout
    found = dict(line.split("=", 1) for line in printed.split("\0") if line)
    assert not found.keys() & set(EXPORTED)
    assert found["PATH"] == "/usr/bin:/bin"
    assert leave_lines({"PATH": path}) == ""
