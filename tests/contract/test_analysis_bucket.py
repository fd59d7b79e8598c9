"""What a bucket may do to the analyzer's store: be absent, or shared by attempts that are dead, late or at once; and whose a place is."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from analyzer.errors import Busy, DependencyDown, InputUnreadable, Mismatch, RequestInvalid, Superseded
from analyzer.s3 import ObjectStore
from analyzer.store import attempt
from analyzer.store.attempt import LEASE_S
from analyzer.store.base import Store
from analyzer.store.folder import FolderStore
from analyzer.store.rows import canonical
from analyzer.store.s3_place import S3Place
from analyzer.store.segments import put_segment
from tests.contract.store_parts import (
    BUCKET,
    OUTCOME,
    SEGMENTS,
    InBucket,
    InFolder,
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


def test_attempt_that_writes_tables_for_longer_than_its_lease_lives(bucket: ObjectStore) -> None:
    kind = InBucket(store=bucket, prefix=f"results/{uuid.uuid4().hex[:8]}")

    class Slow(S3Place):
        @contextmanager
        def writer(self, name: str) -> Iterator[IO[bytes]]:
            kind.clock.now_s += LEASE_S - 1
            # Signs of life come from a thread of their own.
            beat = threading.Thread(target=first.progress, args=(1.0,))
            beat.start()
            beat.join(20)
            with pytest.raises(Busy):
                kind.open().claim(WORK)
            with super().writer(name) as stream:
                yield stream

    first = FolderStore(Slow(bucket, BUCKET, kind.prefix), clock=kind.clock)
    play(first, WORK)
    require_whole(kind.open(), WORK)


@pytest.mark.parametrize("stalled", ["put", "swap"])
def test_bucket_that_stands_still_does_not_keep_an_attempt_that_is_stopped(stalled: str, bucket: ObjectStore) -> None:
    kind = InBucket(store=bucket, prefix=f"results/{uuid.uuid4().hex[:8]}")
    serves, entered, place = threading.Event(), threading.Event(), S3Place(bucket, BUCKET, kind.prefix)
    store = FolderStore(place, clock=kind.clock)
    store.claim(WORK)

    def stand_still(*_: object, **__: object) -> None:
        entered.set()
        serves.wait(30)

    setattr(place, stalled, stand_still)
    work = threading.Thread(target=lambda: store.commit(segment_rows(0)), daemon=True)
    work.start()
    assert stalled == "swap" or entered.wait(10)
    began_s = time.monotonic()
    store.give_up({"status": "interrupted"})
    store.close()
    # Of the ten seconds of a stop signal, the last segments may have had six.
    assert time.monotonic() - began_s < 3
    serves.set()
    work.join(10)


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
