"""What every `analyzer.store.base.Store` does, in PostgreSQL, in a folder and in a bucket."""

from __future__ import annotations

import math
import os
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from analyzer.contract import Table
from analyzer.errors import Busy, ExitCode, RowsInvalid, Superseded
from analyzer.s3 import ObjectStore
from analyzer.store.base import COLUMNS, Claim, SegmentRows, Store
from analyzer.store.postgres import PostgresStore
from lifecycle.rehearsal.services.postgres import Postgres
from tests.contract.store_parts import (
    OUTCOME,
    SEGMENTS,
    InBucket,
    InFolder,
    InPostgres,
    Kind,
    all_rows,
    another,
    play,
    require_whole,
    segment_rows,
    work_of,
)


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    PostgresStore(postgres.dsn).check()
    return postgres.dsn


@pytest.fixture(scope="module")
def bucket(object_store: tuple[dict[str, str], Any]) -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store[0].items():
            patch.setenv(name, value)
        yield ObjectStore()


@pytest.fixture(params=["folder", "bucket", pytest.param("postgres", marks=pytest.mark.rehearsal)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param == "folder":
        return InFolder(folder=tmp_path / "out")
    if request.param == "bucket":
        return InBucket(store=request.getfixturevalue("bucket"), prefix=f"results/{uuid.uuid4().hex[:8]}")
    return InPostgres(dsn=request.getfixturevalue("dsn"))


def test_attempts_go_on_behind_the_last_committed_segment(kind: Kind) -> None:
    work = work_of(kind.session_id)
    first = kind.open()
    first.check()
    assert first.claim(work) == Claim(attempt=1)
    assert first.begin(0) == 0
    first.progress(0.1)
    first.commit(segment_rows(0))
    assert first.begin(1) == 0
    first.close()
    second = kind.open()
    assert second.claim(work) == Claim(attempt=2, next_segment=1, checkpoint=segment_rows(0).checkpoint)
    assert second.begin(1) == 1, "the first attempt died in it"
    second.give_up({"status": "interrupted"})
    second.close()
    third = kind.open()
    assert third.claim(work).attempt == 3
    assert third.begin(1) == 1, "who gives up does not count as dead"
    third.commit(segment_rows(1))
    assert third.begin(2) == 0
    assert [row["segment"] for row in third.read(Table.SEGMENTS)] == [0, 1]
    third.commit(segment_rows(2))
    third.commit(segment_rows(1))
    counts = third.finish(OUTCOME)["rows"]
    third.give_up({"status": "failed"})
    assert counts == {Table.JOBS: 1, **{table: len(all_rows(table)) for table in COLUMNS}}
    assert list(third.read(Table.TRACKS)) == all_rows(Table.TRACKS)
    third.close()
    require_whole(kind.open(), work)


def test_attempts_in_vain_count_in_a_row_but_not_those_that_were_told_to_stop_or_committed(kind: Kind) -> None:
    def attempt(*, fingerprint: str = "f-1", status: str = "", commits: bool = False) -> int:
        """How many attempts in vain came before one that dies, or ends as `status`, and commits a segment before."""
        store = kind.open()
        claim = store.claim(work_of(kind.session_id, fingerprint))
        if commits:
            # Behind the last one nothing begins.
            store.commit(segment_rows(claim.next_segment))
        if status:
            store.give_up({"status": status})
        store.close()
        return claim.fruitless

    assert attempt() == 0
    assert attempt(status="failed") == 1
    assert attempt(status="interrupted") == 2
    assert attempt(status="interrupted", commits=True) == 2
    assert attempt(commits=True) == 0
    assert attempt() == 0
    assert attempt() == 1
    assert attempt(fingerprint="f-2") == 0


def test_rows_are_the_same_wherever_an_attempt_is_killed(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 before each call that changes something, of a segment and of the end: nothing is there twice, nothing lacks.

    Requests are dear, so of a bucket's, which are those of a folder, only some.
    """
    # The power stays on.
    monkeypatch.setattr(os, "fsync", lambda _number: None)

    def last_segment(store: Store, counted: Callable[[], None]) -> None:
        store.claim(work_of(kind.session_id))
        for segment in range(SEGMENTS - 1):
            store.commit(segment_rows(segment))
        counted()
        store.begin(SEGMENTS - 1)
        store.commit(segment_rows(SEGMENTS - 1))
        store.finish(OUTCOME)

    calls = 0
    while killed_before(kind, last_segment, calls):
        kind.cut()
        play(kind.open(), work_of(kind.session_id))
        require_whole(kind.open(), work_of(kind.session_id))
        kind, calls = another(kind), 2 * calls + 1 if isinstance(kind, InBucket) else calls + 1
    assert calls > 8


def test_nothing_of_other_work_is_left_where_its_removal_is_killed(tmp_path: Path) -> None:
    kind = InFolder(folder=tmp_path / "out")

    def replace(store: Store, counted: Callable[[], None]) -> None:
        store.claim(work_of(kind.session_id, "f-0"))
        store.commit(segment_rows(0))
        store.commit(SegmentRows(segment=1, rows={}))
        store.close()
        counted()
        store.claim(work_of(kind.session_id))

    calls = 0
    while killed_before(kind, replace, calls):
        play(kind.open(), work_of(kind.session_id))
        require_whole(kind.open(), work_of(kind.session_id))
        kind, calls = another(kind), calls + 1
    assert calls > 3


def killed_before(kind: Kind, attempt: Callable[[Store, Callable[[], None]], None], calls: int) -> bool:
    """Whether an attempt in a child process came to so many counted calls, at which it kills itself."""
    if (child := os.fork()) == 0:
        left = calls

        def count() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            attempt(kind.open(), lambda: kind.effects(count))
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_second_attempt_is_refused_while_the_first_lives(kind: Kind) -> None:
    first, second = kind.open(), kind.open()
    first.claim(work_of(kind.session_id))
    with pytest.raises(Busy, match=kind.session_id) as refused:
        second.claim(work_of(kind.session_id))
    assert refused.value.exit_code is ExitCode.INTERRUPTED
    with pytest.raises(Busy):
        second.claim(work_of(kind.session_id, "f-other"))
    play_rest(first)
    require_whole(second, work_of(kind.session_id))


def play_rest(store: Any) -> None:
    for segment in range(SEGMENTS):
        store.begin(segment)
        store.commit(segment_rows(segment))
    store.finish(OUTCOME)
    store.close()


@pytest.mark.parametrize("fingerprint", ["f-1", "f-2"], ids=["same-work", "other-work"])
def test_attempt_that_looked_dead_cannot_store_any_more(kind: Kind, fingerprint: str) -> None:
    zombie, heir = kind.open(), kind.open()
    zombie.claim(work_of(kind.session_id))
    zombie.begin(0)
    zombie.commit(segment_rows(0))
    kind.cut()
    claim = heir.claim(work_of(kind.session_id, fingerprint))
    assert (claim.attempt, claim.next_segment) == (2, 1 if fingerprint == "f-1" else 0)
    for attempt in (
        lambda: zombie.begin(1),
        lambda: zombie.commit(segment_rows(0)),
        lambda: zombie.commit(segment_rows(1)),
        lambda: zombie.finish(OUTCOME),
    ):
        with pytest.raises(Superseded):
            attempt()
    zombie.give_up({"status": "failed"})
    zombie.close()
    for segment in range(claim.next_segment, SEGMENTS):
        heir.commit(segment_rows(segment))
    heir.finish(OUTCOME)
    heir.close()
    require_whole(kind.open(), work_of(kind.session_id, fingerprint))


def test_other_work_replaces_everything(kind: Kind) -> None:
    work = work_of(kind.session_id, "f-2")
    play(kind.open(), work_of(kind.session_id))
    store = kind.open()
    assert store.claim(work) == Claim(attempt=2, replaces=True)
    assert all(list(store.read(table)) == [] for table in COLUMNS)
    store.commit(SegmentRows(segment=0, rows={}))
    assert store.finish({"status": "succeeded"})["rows"] == {Table.JOBS: 1, **dict.fromkeys(COLUMNS, 0)}
    store.close()


def test_large_segment_comes_back_in_order(kind: Kind) -> None:
    store = kind.open()
    store.claim(work_of(kind.session_id))
    store.commit(segment_rows(0, detections=20_000))
    store.commit(segment_rows(1))
    assert store.finish(OUTCOME)["rows"][Table.DETECTIONS] == 20_006
    keys = [(row["pts_ms"], row["det"]) for row in store.read(Table.DETECTIONS)]
    store.close()
    assert (len(keys), keys) == (20_006, sorted(keys))


def changed(table: Table, **values: Any) -> Mapping[Table, Any]:
    rows = dict(segment_rows(0).rows)
    return {**rows, table: [{**rows[table][0], **values}, *rows[table][1:]]}


BAD_ROWS = {
    "nan": changed(Table.DETECTIONS, score=math.nan),
    "vector-nan": changed(Table.EMBEDDINGS, v=[0.5, math.nan]),
    "vector-short": changed(Table.EMBEDDINGS, dimension=5),
    "vector-overflow": changed(Table.EMBEDDINGS, v=[1e6]),
    "nul": changed(Table.SCENES, caption="a\0b"),
    "no-column": changed(Table.TRACKS, colour="red"),
    "other-segment": changed(Table.TRACKS, segment=1),
    "not-whole": changed(Table.TRACKS, track=1.5),
    "null": changed(Table.TRACKS, label=None),
    "same-key": changed(Table.DETECTIONS, det=1),
}


def test_rows_that_no_store_can_take_change_nothing(kind: Kind) -> None:
    store = kind.open()
    store.claim(work_of(kind.session_id))
    for rows in BAD_ROWS.values():
        with pytest.raises(RowsInvalid) as refused:
            store.commit(SegmentRows(segment=0, rows=rows))
        assert refused.value.exit_code is ExitCode.BUG
    with pytest.raises(RowsInvalid):
        store.commit(SegmentRows(segment=0, rows={}, checkpoint={"speed": math.inf}))
    with pytest.raises(RowsInvalid):
        store.commit(segment_rows(1))
    for segment in range(SEGMENTS):
        store.commit(segment_rows(segment))
    store.finish(OUTCOME)
    store.close()
    require_whole(kind.open(), work_of(kind.session_id))


def test_two_segments_with_one_track_are_refused(kind: Kind) -> None:
    store = kind.open()
    store.claim(work_of(kind.session_id))
    store.commit(segment_rows(0))
    track = {**segment_rows(0).rows[Table.TRACKS][0], "segment": 1}

    def end() -> None:
        store.commit(SegmentRows(segment=1, rows={Table.TRACKS: [track]}))
        store.finish(OUTCOME)

    with pytest.raises(RowsInvalid):
        end()
    store.close()
