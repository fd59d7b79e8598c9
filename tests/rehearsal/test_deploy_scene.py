"""The scene of what befalls deploys, with every part real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.machine import machines_supported
from lifecycle.rehearsal.perform import perform
from tests.fakes.ui import FakeUi

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]


def test_scene_of_deploys_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if why := jobs_supported() or machines_supported(tmp_path):
        pytest.skip(why)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    outcome = perform(FakeUi(), scene="deploy", report_folder=tmp_path / "report")
    assert outcome.failure is None, outcome.failure
    steps = json.loads((tmp_path / "report" / "report.json").read_text())["steps"]
    assert {step["kind"] for step in steps} == {"real"}
