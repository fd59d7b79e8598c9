from __future__ import annotations

import os
from pathlib import Path

from images.bounded import remove_older, trim, used


def make(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes(10))
        os.utime(folder / name, ns=(number, number))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_was_of_no_use_for_the_longest_time_goes_first(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c", "d")
    used(tmp_path / "a")
    trim(tmp_path, most_bytes=25)
    assert names(tmp_path) == {"a", "d"}


def test_nothing_goes_from_a_folder_that_holds_no_more_than_it_may(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    trim(tmp_path, most_bytes=20)
    assert names(tmp_path) == {"a", "b"}


def test_folders_of_older_versions_go_and_no_others(tmp_path: Path) -> None:
    for name in ("index-9", "index-10", "index-11", "index", "other-1"):
        make(tmp_path / name, "x")
    remove_older(tmp_path / "index-10")
    assert names(tmp_path) == {"index-10", "index-11", "index", "other-1"}


def test_folder_that_is_not_there_is_no_failure(tmp_path: Path) -> None:
    used(tmp_path / "gone" / "x")
    trim(tmp_path / "gone", most_bytes=1)
    remove_older(tmp_path / "gone" / "index-1")
