"""What a folder may do to the analyzer's store: be full, closed or damaged; signs of life, and tables that are put together."""

from __future__ import annotations

import errno
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from analyzer.contract import Table
from analyzer.errors import AnalyzerError, DependencyDown, Mismatch
from analyzer.schemas import row_schema
from analyzer.store import attempt
from analyzer.store.attempt import Heartbeat
from analyzer.store.base import COLUMNS
from analyzer.store.folder import FolderStore
from analyzer.store.merge import Runs
from analyzer.store.place import LocalPlace
from analyzer.store.rows import canonical
from analyzer.store.segments import get_segment, put_segment
from tests.contract.store_parts import (
    OUTCOME,
    all_rows,
    play,
    require_whole,
    segment_rows,
    work_of,
)

WORK = work_of("s-1")


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def edit(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_finished_folder_holds_the_tables_and_the_record(tmp_path: Path) -> None:
    play(FolderStore(LocalPlace(tmp_path)), WORK)
    tables = sorted(f"{table}.jsonl" for table in Table)
    assert files(tmp_path) == [*tables, "work/attempt.json", "work/lock"]
    (job,) = map(json.loads, (tmp_path / "analysis_jobs.jsonl").read_text().splitlines())
    jsonschema.validate(job, row_schema(Table.JOBS), cls=jsonschema.Draft202012Validator)
    rows = {table: len((tmp_path / f"{table}.jsonl").read_text().splitlines()) for table in Table}
    finished = {**OUTCOME, "rows": rows}
    assert (job["session_id"], job["state"], job["attempt"], job["outcome"]) == ("s-1", "partial", 1, finished)
    lines = (tmp_path / "analysis_tracks.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [{"session_id": "s-1", **row} for row in all_rows(Table.TRACKS)]


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, DependencyDown, "disk-full"),
        (errno.EIO, DependencyDown, "folder-down"),
        (errno.EROFS, Mismatch, "result-not-written"),
    ],
)
def test_disk_that_takes_nothing_leaves_what_is_committed(
    number: int, kind: type[AnalyzerError], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(LocalPlace(tmp_path))
    store.claim(WORK)
    store.commit(segment_rows(0))
    before = files(tmp_path)

    def refuse(_number: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        for call in (lambda: store.begin(1), lambda: store.commit(segment_rows(1)), lambda: store.finish(OUTCOME)):
            with pytest.raises(kind) as refused:
                call()
            assert refused.value.code == code
        store.give_up({"status": "failed"})
    assert files(tmp_path) == before
    store.close()
    play(FolderStore(LocalPlace(tmp_path)), WORK)
    require_whole(FolderStore(LocalPlace(tmp_path)), WORK)


def test_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Mismatch, match="is no folder"):
        FolderStore(LocalPlace(tmp_path / "file" / "out")).check()
    store = FolderStore(LocalPlace(tmp_path / "new" / "out"))
    store.check()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda work: (work / "attempt.json").write_text('{"schema": "capctl.attempt/9"}'), "attempt-unreadable"),
        (lambda work: edit(work / "attempt.json", b'"attempt":1', b'"attempt":"x"'), "attempt-unreadable"),
        (lambda work: edit(work / "attempt.json", b'"running":[]', b'"running":{}'), "attempt-unreadable"),
        (lambda work: next((work / "segments").iterdir()).write_bytes(b"\x1f\x8b damaged"), "segment-unreadable"),
    ],
)
def test_damaged_work_is_told_with_the_way_out(spoil: Callable[[Path], object], code: str, tmp_path: Path) -> None:
    store = FolderStore(LocalPlace(tmp_path))
    store.claim(WORK)
    store.commit(segment_rows(0))
    store.close()
    spoil(tmp_path / "work")
    with pytest.raises(Mismatch) as damaged:
        store.claim(WORK)
    assert (damaged.value.code, "work/" in damaged.value.hint) == (code, True)


def test_segment_of_which_a_byte_was_flipped_is_told_or_whole(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    put_segment(place, 0, 1, canonical(segment_rows(0)), {"next": 1})
    (path,) = (tmp_path / "work" / "segments").iterdir()
    content, whole, told = path.read_bytes(), get_segment(place, path.name), 0
    for position in range(0, len(content), 5):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        try:
            assert get_segment(place, path.name) == whole, position
        except Mismatch as damaged:
            told += path.name in damaged.message
    assert told > len(content) / 5 - 3, "but for the time and the system in the head, all bytes count"


@pytest.mark.parametrize(
    ("table", "spoil"),
    [
        (Table.TRACKS, lambda path: edit(path, b'"label":"person"', b'"label":"person')),
        (Table.TRACKS, lambda path: edit(path, b'"sightings":4', b'"sightings":"4"')),
        (Table.TRACKS, lambda path: edit(path, b'"sightings"', b'"sightingz"')),
        (Table.DETECTIONS, lambda path: edit(path, b'"score":1.25', b'"score":NaN')),
        (Table.DETECTIONS, lambda path: path.write_bytes(b"")),
        (Table.EMBEDDINGS, lambda path: edit(path, b"[0.5,", b"[")),
        (Table.SCENES, lambda path: path.unlink()),
    ],
    ids=["cut-off", "other-type", "other-column", "nan", "empty", "short-vector", "gone"],
)
def test_damaged_table_is_told_with_its_file(table: Table, spoil: Callable[[Path], object], tmp_path: Path) -> None:
    play(FolderStore(LocalPlace(tmp_path)), WORK)
    path = tmp_path / f"{table}.jsonl"
    spoil(path)
    store = FolderStore(LocalPlace(tmp_path))
    assert store.claim(WORK).finished
    with pytest.raises(Mismatch, match=str(path)) as damaged:
        list(store.read(table))
    assert (damaged.value.code, "work/" in damaged.value.hint) == ("table-damaged", True)
    store.close()


def test_sign_of_life_goes_on_until_the_end_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "BEAT_EVERY_S", 0.001)
    beats: list[int] = []
    enough = threading.Event()

    def beat() -> None:
        beats.append(1)
        if len(beats) > 3:
            enough.set()
        raise DependencyDown("object-store-down", "for a while")

    with Heartbeat(beat):
        assert enough.wait(10)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_table_is_put_together_without_holding_it() -> None:
    """Of 16 MB in 40 segments, all of whose rows are mixed, a few lines of each are in memory."""
    runs, columns = Runs(Table.SCENES, "s-1"), COLUMNS[Table.SCENES]
    for segment in range(40):
        row = dict.fromkeys(columns, 0) | {"segment": segment, "caption": "x" * 4000}
        scenes = [{**row, "scene": 40 * number + 39 - segment} for number in range(100)]
        runs.add([tuple(each.values()) for each in scenes])
    tracemalloc.start()
    merged = [json.loads(line)["scene"] for line in runs.merged()]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    runs.close()
    assert merged == list(range(4000))
    assert peak_bytes < 3_000_000
