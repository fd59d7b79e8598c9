"""What every `ports.Results` does, with rows that the analyzer's own store wrote."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from analyzer.contract import Table
from analyzer.store.base import COLUMNS, SegmentRows, Work
from analyzer.store.postgres import PostgresStore
from lifecycle.adapters.results import PostgresResults
from lifecycle.errors import CapctlError
from lifecycle.ports.results import Results
from lifecycle.rehearsal.services.postgres import Postgres
from tests.fakes.results import FakeResults

DIMENSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where jobs store: `store` puts rows of a session with that many tracks, each with a vector of `DIMENSION`; `empty` is a database
    that no job ever stored to.
    """

    results: Results
    store: Callable[[str, int], None]
    database_url: str
    empty: str


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.rehearsal)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "fake":
        return _in_memory()
    return _real(request.getfixturevalue("postgres"))


def _in_memory() -> Place:
    results = FakeResults()

    def store(session_id: str, tracks: int) -> None:
        results.counted = dict.fromkeys((table.value for table in Table), 0) | {
            Table.JOBS.value: 1,
            Table.SEGMENTS.value: 1,
            Table.TRACKS.value: tracks,
            Table.EMBEDDINGS.value: tracks,
        }
        results.dims = {DIMENSION} if tracks else set()

    return Place(results=results, store=store, database_url="postgresql://db/x", empty="postgresql://db/y")


def _real(postgres: Postgres) -> Place:
    def store(session_id: str, tracks: int) -> None:
        store = PostgresStore(postgres.dsn)
        store.check()
        store.claim(Work(session_id=session_id, fingerprint="f", video_url="s3://b/v.mp4", request={}))
        store.commit(rows_of(tracks))
        store.finish({"status": "succeeded"})
        store.close()

    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("drop database if exists empty")
        connection.execute("create database empty")
    empty = postgres.dsn.rpartition("/")[0] + "/empty"
    return Place(results=PostgresResults(), store=store, database_url=postgres.dsn, empty=empty)


def rows_of(tracks: int) -> SegmentRows:
    """A video in which so many faces were seen, each once."""
    segment = {"segment": 0, "start_ms": 0, "end_ms": 1000, "state": "committed"}
    counts = {"frames": 25, "sampled_frames": 2, "errors": 0}
    empty = dict.fromkeys(COLUMNS[Table.TRACKS])
    track = {"segment": 0, "label": "face", "first_ms": 0, "last_ms": 0, "sightings": 1, "attribute_samples": 0}
    track |= {"face_thumbnail": True, "person_thumbnail": False}
    vector = {"segment": 0, "space": "s", "kind": "track", "pts_ms": 0, "dimension": DIMENSION, "v": [0.5] * DIMENSION}
    return SegmentRows(
        segment=0,
        rows={
            Table.SEGMENTS: [{**segment, **counts}],
            Table.TRACKS: [{**empty, **track, "track": number} for number in range(tracks)],
            Table.EMBEDDINGS: [{**vector, "ref": number} for number in range(tracks)],
        },
    )


def test_rows_are_counted_in_every_table(place: Place) -> None:
    session_id = f"s-{uuid.uuid4().hex[:8]}"
    place.store(session_id, 2)
    assert place.results.rows(place.database_url, session_id) == {
        "analysis_jobs": 1,
        "analysis_segments": 1,
        "analysis_tracks": 2,
        "analysis_scenes": 0,
        "analysis_detections": 0,
        "analysis_embeddings": 2,
    }


def test_tables_that_no_job_made_are_not_counted(place: Place) -> None:
    assert place.results.rows(place.empty, "s-1") == {}
    assert place.results.dimensions(place.empty, "s-1") == frozenset()


@pytest.mark.parametrize(("tracks", "found"), [(0, set()), (3, {DIMENSION})])
def test_vectors_tell_their_dimension(place: Place, tracks: int, found: set[int]) -> None:
    session_id = f"s-{uuid.uuid4().hex[:8]}"
    place.store(session_id, tracks)
    assert place.results.dimensions(place.database_url, session_id) == found


@pytest.mark.rehearsal
def test_rows_of_another_session_are_not_counted(postgres: Postgres) -> None:
    place = _real(postgres)
    place.store("s-mine", 1)
    place.store("s-other", 5)
    counted = place.results.rows(place.database_url, "s-mine")
    assert (counted["analysis_jobs"], counted["analysis_tracks"]) == (1, 1)


@pytest.mark.rehearsal
def test_refused_login_is_told_without_the_password(postgres: Postgres) -> None:
    url = f"postgresql://capctl:a-wrong-password@127.0.0.1:{postgres.port}/capctl"
    with pytest.raises(CapctlError, match=r"127\.0\.0\.1") as failed:
        PostgresResults().rows(url, "s-1")
    assert failed.value.code == "database-unreachable"
    assert "a-wrong-password" not in failed.value.message
