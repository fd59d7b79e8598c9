"""What every `ports.Results` does, with rows that the analyzer's own store wrote."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from analyzer.contract import Table
from analyzer.store.postgres import PostgresStore
from analyzer.store.rows import SessionRows
from lifecycle.adapters.results import PostgresResults
from lifecycle.errors import CapctlError
from lifecycle.ports.results import Results
from lifecycle.rehearsal.services.postgres import Postgres, postgres_supported
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
            Table.TRACKS.value: tracks,
            Table.EMBEDDINGS.value: tracks,
        }
        results.dims = {DIMENSION} if tracks else set()

    return Place(results=results, store=store, database_url="postgresql://db/x", empty="postgresql://db/y")


def _real(postgres: Postgres) -> Place:
    def store(session_id: str, tracks: int) -> None:
        PostgresStore(postgres.dsn).check()
        PostgresStore(postgres.dsn).replace(rows_of(session_id, tracks))

    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("drop database if exists empty")
        connection.execute("create database empty")
    empty = postgres.dsn.rpartition("/")[0] + "/empty"
    return Place(results=PostgresResults(), store=store, database_url=postgres.dsn, empty=empty)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    if why := postgres_supported():
        pytest.skip(why)
    with Postgres(tmp_path_factory.mktemp("postgres"), f"test-{uuid.uuid4().hex[:8]}") as postgres:
        yield postgres


def rows_of(session_id: str, tracks: int) -> SessionRows:
    """A job that saw so many faces, each once."""
    job = {"status": "succeeded", "video_url": "s3://b/v.mp4", "decoded_ms": 1000, "decode_errors": 0}
    descriptions: dict[str, Any] = {"video": {}, "backend": {}, "models": {}}
    track = {"label": "face", "first_ms": 0, "last_ms": 0, "sightings": 1, "attribute_samples": 0}
    vector = {"space": "s", "kind": "face", "pts_ms": 0, "dimension": DIMENSION, "v": [0.5] * DIMENSION}
    return SessionRows(
        session_id=session_id,
        tables={
            Table.JOBS: [{"session_id": session_id, **job, **descriptions}],
            Table.TRACKS: [{"session_id": session_id, "track": number, **track} for number in range(tracks)],
            Table.EMBEDDINGS: [{"session_id": session_id, "track": number, **vector} for number in range(tracks)],
        },
    )


def test_rows_are_counted_in_every_table(place: Place) -> None:
    session_id = f"s-{uuid.uuid4().hex[:8]}"
    place.store(session_id, 2)
    assert place.results.rows(place.database_url, session_id) == {
        "analysis_jobs": 1,
        "analysis_tracks": 2,
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
