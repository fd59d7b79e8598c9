"""The scene of the AMI lifecycle: every row real, and with stand-ins for machines every row that needs one said to be simulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.machine import machines_supported
from lifecycle.rehearsal.perform import perform
from lifecycle.rehearsal.scenes import SCENES
from tests.fakes.ui import FakeUi

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(400)]
WITH_MACHINES = {"ami bake", "ami verify --boot", "ami bake, killed", "ami sweep", "ami verify"}


def test_scenes_are_those_that_the_command_offers() -> None:
    from lifecycle.rehearsal.perform import PLAYS

    assert PLAYS.keys() == SCENES.keys()


@pytest.mark.parametrize("without", [frozenset(), frozenset({"machines"})], ids=["real", "without machines"])
def test_scene_of_amis_passes(tmp_path: Path, without: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if why := jobs_supported() or machines_supported(tmp_path):
        pytest.skip(why)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    outcome = perform(FakeUi(), scene="ami", without=without, report_folder=tmp_path / "report")
    assert outcome.failure is None, outcome.failure
    steps = json.loads((tmp_path / "report" / "report.json").read_text())["steps"]
    simulated = {step["name"] for step in steps if step["kind"] == "simulated"}
    assert simulated == (WITH_MACHINES if without else set())
