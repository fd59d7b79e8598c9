"""The scene of code images: every row real, up to a container that the printed line starts, and without an engine what needs none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.adapters.docker_engine import DockerEngine
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.perform import perform
from tests.fakes.ui import FakeUi

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(400)]
WITH_ENGINE = {"image base", "image verify", "image explain", "image build --to oci:…"}


@pytest.mark.parametrize("without", [frozenset(), frozenset({"engine"})], ids=["real", "without engine"])
def test_scene_of_images_passes(tmp_path: Path, without: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    outcome = perform(FakeUi(), scene="image", without=without | {"machines"}, report_folder=tmp_path / "report")
    assert outcome.failure is None, outcome.failure
    steps = json.loads((tmp_path / "report" / "report.json").read_text())["steps"]
    simulated = {step["name"] for step in steps if step["kind"] == "simulated"}
    assert simulated == (WITH_ENGINE if without else set())
    loaded = [step["result"] for step in steps if step["name"] == "image load"]
    assert len(loaded) == (0 if without else 1)
    for name in loaded:
        assert DockerEngine(FakeUi()).image_id(name) is None
    assert ("docker run …" in {step["name"] for step in steps}) is not bool(without)
