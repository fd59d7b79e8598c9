"""What a folder or a bucket may do to the analyzer's store: be full, closed, damaged, gone; and what zombies write late."""

from __future__ import annotations

import errno
import json
import os
import threading
import tracemalloc
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer.contract import Table
from analyzer.errors import AnalyzerError, Busy, DependencyDown, InputUnreadable, Mismatch, RequestInvalid, Superseded
from analyzer.s3 import ObjectStore
from analyzer.schemas import row_schema
from analyzer.store import attempt
from analyzer.store.attempt import LEASE_S, Heartbeat
from analyzer.store.base import COLUMNS, Store
from analyzer.store.folder import FolderStore
from analyzer.store.merge import Runs
from analyzer.store.place import LocalPlace
from analyzer.store.rows import canonical
from analyzer.store.s3_place import S3Place
from analyzer.store.segments import get_segment, put_segment
from tests.contract.store_parts import (
    BUCKET,
    OUTCOME,
    SEGMENTS,
    InBucket,
    InFolder,
    all_rows,
    play,
    require_whole,
    segment_rows,
    work_of,
)

WORK = work_of("s-1")


@pytest.fixture
def bucket(object_store: tuple[dict[str, str], Any], monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in object_store[0].items():
        monkeypatch.setenv(name, value)
    return ObjectStore()


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


@pytest.mark.parametrize("late", [lambda store: store.commit(segment_rows(1)), lambda store: store.progress(0.9)])
def test_bucket_tells_the_living_from_the_dead_by_age(late: Callable[[Store], object], bucket: ObjectStore) -> None:
    kind = InBucket(store=bucket, prefix=f"results/{uuid.uuid4().hex[:8]}")
    first, second = kind.open(), kind.open()
    first.claim(WORK)
    first.commit(segment_rows(0))
    kind.clock.now_s += LEASE_S - 1
    with pytest.raises(Busy):
        second.claim(WORK)
    first.progress(0.5)
    kind.clock.now_s += LEASE_S - 1
    with pytest.raises(Busy):
        second.claim(WORK)
    kind.clock.now_s += 1
    assert second.claim(WORK).attempt == 2
    kind.clock.now_s += 20
    with pytest.raises(Superseded):
        late(first)
    first.close()
    second.close()
    # A hold that was let go is nobody's, however young its last sign of life is.
    play(kind.open(), WORK)


@pytest.mark.parametrize("alive", [True, False])
def test_claim_watches_an_attempt_that_may_be_dead(alive: bool, bucket: ObjectStore) -> None:
    kind = InBucket(store=bucket, prefix=f"results/{uuid.uuid4().hex[:8]}")
    first = kind.open()
    first.claim(WORK)
    waited_s = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited_s
        waited_s += seconds
        kind.clock.now_s += seconds
        if alive:
            first.progress(0.1)

    second = FolderStore(kind.place, clock=kind.clock, wait=wait)
    if alive:
        with pytest.raises(Busy):
            second.claim(WORK)
        assert waited_s < LEASE_S / 2
    else:
        assert second.claim(WORK).attempt == 2
        assert waited_s == LEASE_S
    second.close()
    first.close()


def test_login_that_may_list_only_a_part_finds_nothing_where_nothing_is(
    bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = S3Place(bucket, BUCKET, f"results/{uuid.uuid4().hex[:8]}")
    place.put("there", b"1")

    def refuse(*_: str) -> None:
        raise Mismatch("object-refused", "AccessDenied")

    monkeypatch.setattr(bucket, "get", refuse)
    monkeypatch.setattr(bucket, "chunks", lambda *_: iter(refuse, None))
    assert place.get("absent") is None
    with pytest.raises(InputUnreadable):
        next(place.chunks("absent"))
    for read in (place.get, lambda name: next(place.chunks(name))):
        with pytest.raises(Mismatch):
            read("there")


def test_what_a_zombie_writes_late_is_never_read(bucket: ObjectStore) -> None:
    kind = InBucket(store=bucket, prefix=f"results/{uuid.uuid4().hex[:8]}")
    zombie, heir = kind.open(), kind.open()
    zombie.claim(work_of("s-1", "f-0"))
    kind.cut()
    heir.claim(WORK)
    for segment in range(SEGMENTS):
        heir.commit(segment_rows(segment))
        # Past the fence when it stalled, and back only now; also behind the last segment.
        for stray in (segment, segment + SEGMENTS):
            put_segment(kind.place, stray, 1, canonical(segment_rows(0, detections=1)), {})
    heir.finish(OUTCOME)
    heir.close()
    zombie.close()
    require_whole(kind.open(), WORK)
    play(kind.open(), work_of("s-1", "f-2"))
    require_whole(kind.open(), work_of("s-1", "f-2"))


def test_two_claims_at_once_give_one_attempt(bucket: ObjectStore) -> None:
    prefix = f"results/{uuid.uuid4().hex[:8]}"
    barrier = threading.Barrier(2)

    class Slow(S3Place):
        def get(self, name: str) -> bytes | None:
            found = super().get(name)
            if name == attempt.RECORD and found is None:
                barrier.wait(10)
            return found

    outcomes: list[str] = []

    def claim() -> None:
        store = FolderStore(Slow(bucket, BUCKET, prefix))
        try:
            outcomes.append(f"attempt {store.claim(WORK).attempt}")
        except Busy as error:
            outcomes.append(error.code)
        store.close()

    threads = [threading.Thread(target=claim, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["attempt 1", "session-busy"]


def test_bucket_that_is_absent_or_down_is_told_apart(bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Mismatch) as absent:
        FolderStore(S3Place(bucket, "no-such-bucket", "x")).check()
    assert absent.value.code == "bucket-missing"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DependencyDown) as down:
        FolderStore(S3Place(ObjectStore(), BUCKET, "x")).check()
    assert down.value.code == "object-store-down"


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


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_place_of_another_session_is_refused_once_it_stored_anything(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kind: InFolder | InBucket = InFolder(folder=tmp_path)
    if where == "bucket":
        kind = InBucket(store=request.getfixturevalue("bucket"), prefix=f"results/{uuid.uuid4().hex[:8]}")
    first, second = kind.open(), kind.open()
    first.claim(work_of("s-0"))
    first.give_up({"status": "failed"})
    first.close()
    first.claim(WORK)
    first.commit(segment_rows(0))
    first.close()
    for _ in ("begun", "finished"):
        with pytest.raises(RequestInvalid, match="holds the session `s-1`, and this one is `s-2`") as refused:
            second.claim(work_of("s-2"))
        assert refused.value.code == "place-taken"
        play(first, WORK)
    require_whole(first, WORK)
