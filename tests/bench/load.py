"""Rows into PostgreSQL: a segment at a time as the analyzer does it, beside a statement per row."""

import tempfile
from pathlib import Path
from typing import Any

from analyzer.contract import Table
from analyzer.store.base import COLUMNS, SegmentRows, Work
from analyzer.store.postgres import PostgresStore
from analyzer.store.rows import canonical
from lifecycle.rehearsal.services.postgres import Postgres
from tests.bench.figures import Figure
from tests.bench.timing import in_turns

BOUND = 8
# A segment of 30 s, every frame of which, at 25 a second, shows four people; forty of them leave it.
FRAMES, BOXES, TRACKS, DIMENSION = 750, 4, 40, 768
ROUNDS = 5


def load_figures() -> list[Figure]:
    """Store one segment in place of itself, both ways in turns, in a server that does not wait for its disk."""
    with tempfile.TemporaryDirectory() as folder, Postgres(Path(folder), "bench-load") as postgres:
        store = PostgresStore(postgres.dsn)
        store.check()
        store.claim(Work(session_id="copied", fingerprint="f", video_url="s3://b/v.mp4", request={}))
        rows = segment_rows()
        pair = in_turns(lambda: _insert(postgres.dsn, rows), lambda: store.commit(rows), rounds=ROUNDS)
        store.close()
    count = sum(len(each) for each in rows.rows.values())
    return [
        Figure(
            name=f"load of a segment, {count} rows: autocommit inserts / delete and COPY in one transaction",
            measured=f"{pair.ratio:.1f} x ({pair.first_s:.2f} s / {pair.second_s:.3f} s)",
            bound=f">= {BOUND} x",
            met=pair.ratio >= BOUND,
        )
    ]


def segment_rows() -> SegmentRows:
    """One segment as the pipeline hands it over."""
    detection = {"segment": 0, "label": "person", "score": 1.25, "source": "hog-scan", "face_of": None}
    box = {"box_left": 0.12345, "box_top": 0.2, "box_width": 0.1, "box_height": 0.5}
    vector = {"segment": 0, "space": "s", "kind": "track", "pts_ms": 0, "dimension": DIMENSION}
    return SegmentRows(
        segment=0,
        rows={
            Table.DETECTIONS: [
                {**detection, **box, "pts_ms": 40 * frame, "det": number, "track": number}
                for frame in range(FRAMES)
                for number in range(BOXES)
            ],
            Table.EMBEDDINGS: [
                {**vector, "ref": ref, "v": [((ref + place) % 7) / 7 for place in range(DIMENSION)]}
                for ref in range(TRACKS)
            ],
        },
    )


def _insert(dsn: str, rows: SegmentRows) -> None:
    import psycopg
    from pgvector import HalfVector
    from pgvector.psycopg import register_vector

    with psycopg.connect(dsn, autocommit=True) as connection:
        register_vector(connection)
        for table, entries in canonical(rows).items():
            connection.execute(f"delete from {table} where session_id = 'inserted'")
            names = ", ".join(("session_id", *COLUMNS[table]))
            places = ", ".join(["%s"] * (1 + len(COLUMNS[table])))
            for values in entries:
                row: list[Any] = [HalfVector(each) if hasattr(each, "dtype") else each for each in values]
                connection.execute(f"insert into {table} ({names}) values ({places})", ["inserted", *row])
