"""Folders of runs that were killed are removed by the next run, and only they."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.adapters.private_folder import private_folder


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_folder_is_its_users_alone_and_goes_with_the_block(scratch: Path) -> None:
    with private_folder("capctl-x-") as folder:
        assert folder.parent == scratch
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(scratch.iterdir()) == []


def test_folder_of_a_killed_run_is_removed_and_that_of_a_living_one_is_kept(scratch: Path) -> None:
    for name in ("capctl-x-killed", "capctl-y-killed"):
        (scratch / name).mkdir()
    with private_folder("capctl-x-") as living, private_folder("capctl-x-") as second:
        assert {path.name for path in scratch.iterdir()} == {living.name, second.name, "capctl-y-killed"}


def test_folder_lies_where_its_owner_says_and_those_of_killed_runs_there_go(scratch: Path) -> None:
    place = scratch / "cache"
    (place / "capctl-x-killed").mkdir(parents=True)
    with private_folder("capctl-x-", within=place) as folder:
        assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []
