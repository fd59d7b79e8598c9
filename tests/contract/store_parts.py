"""Work, rows and places for the suite of the analyzer's stores."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import psycopg

from analyzer.contract import Table
from analyzer.s3 import ObjectStore
from analyzer.store.attempt import LEASE_S
from analyzer.store.base import COLUMNS, KEYS, Row, SegmentRows, Store, Work
from analyzer.store.database import Patience
from analyzer.store.folder import FolderStore
from analyzer.store.place import LocalPlace, Place
from analyzer.store.postgres import PostgresStore
from analyzer.store.s3_place import S3Place

BUCKET = "analyzer-videos"
SEGMENTS = 3
OUTCOME = {"status": "partial", "coverage": {"decoded_ms": 90_000, "skipped": [1]}, "é": "ü"}
# Nobody waits long for an attempt that a test has cut off.
HASTY = Patience(connect_s=5, statement_s=20, lock_s=5, claim_s=0.2)


def segment_rows(segment: int, *, detections: int = 6) -> SegmentRows:
    """A track that ends in each segment, the first one last, and detections of which one is of the time before."""
    begin_ms = 30_000 * segment
    whole = {"segment": segment, "start_ms": begin_ms, "end_ms": begin_ms + 30_000, "state": "committed"}
    track = SEGMENTS - segment
    estimates = {"age_mean": 30.1 + segment, "age_low": None, "age_high": 40.0, "gender": "female"}
    seen = {"label": "person", "first_ms": 0, "last_ms": begin_ms + 1000, "sightings": 4, "attribute_samples": 2}
    turned = {"gender_confidence": 0.1 + 0.2, "orientation_deg": 359.5, "orientation_confidence": None}
    kept = {"age_model": "a" * 64, "gender_model": None, "face_thumbnail": True, "person_thumbnail": False}
    box = {"box_left": 1 / 3, "box_top": 0.0, "box_width": 1e-7, "box_height": 1.0}
    one = {
        "segment": segment,
        "track": track,
        "label": "person",
        "score": 1.25,
        "source": "hog",
        **box,
        "face_of": None,
    }
    vector = {"segment": segment, "space": "s", "ref": track, "pts_ms": begin_ms, "dimension": 4}
    return SegmentRows(
        segment=segment,
        rows={
            Table.SEGMENTS: [{**whole, "frames": 750, "sampled_frames": 60, "errors": 0}],
            Table.TRACKS: [{"segment": segment, "track": track, **seen, **estimates, **turned, **kept}],
            Table.SCENES: [
                {"segment": segment, "scene": segment, "start_ms": begin_ms, "end_ms": begin_ms + 9, "frame_ms": None}
                | {"caption": 'a "quoted"\tline\n of text, é', "caption_finished": segment % 2 == 0}
            ],
            Table.DETECTIONS: [
                {**one, "pts_ms": max(0, begin_ms + 200 * (number // 4) - 100), "det": 4 * segment + number % 4}
                for number in range(detections)
            ],
            Table.EMBEDDINGS: [
                {**vector, "kind": "track", "v": [0.5, -0.25, 0.12347, float(segment)]},
                {**vector, "kind": "scene", "v": [1.0, 0.0, 0.0, 0.0]},
            ],
        },
        checkpoint={"next": segment + 1, "tracks": [[0.1, None, "é"]] * 20},
    )


def all_rows(table: Table) -> list[Row]:
    """What a store gives back of a whole session."""
    rows = [row for segment in range(SEGMENTS) for row in segment_rows(segment).rows[table]]
    return sorted(rows, key=lambda row: [row[column] for column in KEYS[table]])


def work_of(session_id: str, fingerprint: str = "f-1") -> Work:
    return Work(session_id=session_id, fingerprint=fingerprint, video_url="s3://b/v.mp4", request={"fps": 2.0})


def play(store: Store, work: Work) -> None:
    """An attempt from where it may go on to the end."""
    claim = store.claim(work)
    if claim.finished is None:
        expected = None if claim.next_segment == 0 else segment_rows(claim.next_segment - 1).checkpoint
        assert claim.checkpoint == expected
        for segment in range(claim.next_segment, SEGMENTS):
            store.begin(segment)
            store.progress(segment / SEGMENTS)
            store.commit(segment_rows(segment))
        store.finish(OUTCOME)
    store.close()


def require_whole(store: Store, work: Work) -> None:
    """The session is finished, with exactly the rows of an attempt that nothing interrupted."""
    rows = {Table.JOBS: 1, **{table: len(all_rows(table)) for table in COLUMNS}}
    assert store.claim(work).finished == {**OUTCOME, "rows": rows}
    assert {table: list(store.read(table)) for table in COLUMNS} == {table: all_rows(table) for table in COLUMNS}
    store.close()


class Kind(Protocol):
    """One kind of store with a session of its own; `effects` patches what changes the world so that it calls back before."""

    session_id: str

    def open(self) -> Store: ...

    def cut(self) -> None:
        """Make the attempt that holds the session lose its hold, without its knowing."""

    def effects(self, before: Callable[[], None]) -> None: ...


@dataclass(kw_only=True)
class Clock:
    now_s: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(kw_only=True)
class InPostgres:
    dsn: str
    session_id: str = field(default_factory=lambda: f"s-{uuid.uuid4().hex[:8]}")

    def open(self) -> Store:
        return PostgresStore(self.dsn, patience=HASTY)

    def cut(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name = 'analyzer' and datname = current_database()"
            )

    def effects(self, before: Callable[[], None]) -> None:
        for owner, name in ((psycopg.Connection, "execute"), (psycopg.Cursor, "copy")):
            setattr(owner, name, _preceded(before, getattr(owner, name)))


@dataclass(kw_only=True)
class InFolder:
    folder: Path
    session_id: str = "s-1"

    @property
    def place(self) -> Place:
        return LocalPlace(self.folder)

    def open(self) -> Store:
        return FolderStore(self.place)

    def cut(self) -> None:
        (self.folder / "work" / "lock").unlink()

    def effects(self, before: Callable[[], None]) -> None:
        for owner, name in ((Path, "replace"), (Path, "unlink")):
            setattr(owner, name, _preceded(before, getattr(owner, name)))


@dataclass(kw_only=True)
class InBucket:
    store: ObjectStore
    prefix: str
    session_id: str = "s-1"
    clock: Clock = field(default_factory=Clock)

    @property
    def place(self) -> Place:
        return S3Place(self.store, BUCKET, self.prefix)

    def open(self) -> Store:
        return FolderStore(self.place, clock=self.clock, claim_s=0)

    def cut(self) -> None:
        self.clock.now_s += LEASE_S

    def effects(self, before: Callable[[], None]) -> None:
        for name in ("put", "put_if", "delete"):
            setattr(ObjectStore, name, _preceded(before, getattr(ObjectStore, name)))


def execute(url: str, *statements: str) -> list[Any]:
    """The rows that the last of `statements` gives, each in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def another(kind: Any) -> Any:
    """The same kind, with a session of its own."""
    fresh = uuid.uuid4().hex[:8]
    match kind:
        case InPostgres():
            return replace(kind, session_id=f"s-{fresh}")
        case InFolder():
            shutil.rmtree(kind.folder, ignore_errors=True)
            return kind
        case _:
            return replace(kind, prefix=f"{kind.prefix}-{fresh}", clock=Clock())


def _preceded(before: Callable[[], None], action: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        before()
        return action(*arguments, **options)

    return wrapped
