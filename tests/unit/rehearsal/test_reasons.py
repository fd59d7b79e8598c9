"""Which parts need a stand-in is found by trying, and said with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.rehearsal.standins import PARTS
from lifecycle.rehearsal.standins.reasons import find_standins
from tests.fakes.ui import FakeUi


def test_part_that_is_left_out_is_not_tried(tmp_path: Path) -> None:
    found = find_standins(frozenset(PARTS), tmp_path, FakeUi().note)
    assert (found.machines, found.engine, found.registry, found.rootfs) == (
        "bake: left out by `--without machines`",
        "containers: left out by `--without engine`",
        "registry: left out by `--without registry`",
        None,
    )


def test_machine_without_the_programs_gets_a_stand_in_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = find_standins(frozenset(), tmp_path, FakeUi().note)
    assert found.machines
    assert found.engine
    assert found.engine.startswith("containers: no container engine")
    assert found.registry == "registry: neither `docker-registry` nor `registry` is installed"
