"""What every `ports.Results` does, with rows that the analyzer's own store wrote."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from analyzer.contract import Table
from analyzer.store.postgres import PostgresStore
from analyzer.store.rows import SessionRows
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.results import StoredResults
from lifecycle.errors import CapctlError
from lifecycle.ports.results import Results
from lifecycle.rehearsal.services.postgres import Postgres, postgres_supported
from tests.fakes.releases import result_document
from tests.fakes.results import FakeResults


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where jobs store: `leave` puts a document and gives its URI, `store` rows of a session with that many tracks.

    `empty` is a database that no job ever stored to.
    """

    results: Results
    leave: Callable[[dict[str, Any] | None], str]
    store: Callable[[str, int], None]
    database_url: str
    empty: str


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "fake":
        return _in_memory()
    return _real(request.getfixturevalue("emulated_session"), request.getfixturevalue("postgres"))


def _in_memory() -> Place:
    results = FakeResults(None)

    def leave(document: dict[str, Any] | None) -> str:
        results.left = document
        return "s3://bucket/result.json"

    def store(session_id: str, tracks: int) -> None:
        results.counted = dict.fromkeys((table.value for table in Table), 0) | {
            Table.JOBS.value: 1,
            Table.TRACKS.value: tracks,
        }

    return Place(results=results, leave=leave, store=store, database_url="postgresql://db/x", empty="postgresql://db/y")


def _real(session: AwsSession, postgres: Postgres) -> Place:
    bucket = f"contract-{uuid.uuid4().hex[:12]}"
    s3 = session.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})

    def leave(document: dict[str, Any] | None) -> str:
        if document is not None:
            s3.put_object(Bucket=bucket, Key="results/result.json", Body=json.dumps(document).encode())
        return f"s3://{bucket}/results/result.json"

    def store(session_id: str, tracks: int) -> None:
        PostgresStore(postgres.dsn).check()
        PostgresStore(postgres.dsn).replace(rows_of(session_id, tracks))

    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("drop database if exists empty")
        connection.execute("create database empty")
    empty = postgres.dsn.rpartition("/")[0] + "/empty"
    return Place(results=StoredResults(session), leave=leave, store=store, database_url=postgres.dsn, empty=empty)


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
    return SessionRows(
        session_id=session_id,
        tables={
            Table.JOBS: [{"session_id": session_id, **job, **descriptions}],
            Table.TRACKS: [{"session_id": session_id, "track": number, **track} for number in range(tracks)],
        },
    )


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(CapctlError) as failed:
        call()
    return failed.value.code


def test_document_is_read_as_the_job_stored_it(place: Place) -> None:
    document = result_document(session_id="s-1", note="ä")
    assert place.results.document(place.leave(document)) == document


def test_missing_document_is_an_error_that_names_it(place: Place) -> None:
    uri = place.leave(None)
    with pytest.raises(CapctlError, match=uri) as failed:
        place.results.document(uri)
    assert (failed.value.code, failed.value.is_verdict) == ("result-missing", True)


@pytest.mark.parametrize("document", [{}, {"schema": "capctl.analysis/2"}])
def test_document_of_another_schema_is_no_result(place: Place, document: dict[str, Any]) -> None:
    assert code_of(lambda: place.results.document(place.leave(document))) == "result-invalid"


def test_rows_are_counted_in_every_table(place: Place) -> None:
    session_id = f"s-{uuid.uuid4().hex[:8]}"
    place.store(session_id, 2)
    assert place.results.rows(place.database_url, session_id) == {
        "analysis_jobs": 1,
        "analysis_tracks": 2,
        "analysis_detections": 0,
        "analysis_embeddings": 0,
    }


def test_tables_that_no_job_made_are_not_counted(place: Place) -> None:
    assert place.results.rows(place.empty, "s-1") == {}


@pytest.mark.rehearsal
def test_bucket_that_does_not_exist_says_nothing_about_the_job(emulated_session: AwsSession) -> None:
    uri = f"s3://no-such-bucket-{uuid.uuid4().hex[:8]}/result.json"
    with pytest.raises(CapctlError, match="NoSuchBucket") as failed:
        StoredResults(emulated_session).document(uri)
    assert not failed.value.is_verdict


@pytest.mark.rehearsal
def test_rows_of_another_session_are_not_counted(emulated_session: AwsSession, postgres: Postgres) -> None:
    place = _real(emulated_session, postgres)
    place.store("s-mine", 1)
    place.store("s-other", 5)
    counted = place.results.rows(place.database_url, "s-mine")
    assert (counted["analysis_jobs"], counted["analysis_tracks"]) == (1, 1)


@pytest.mark.rehearsal
def test_refused_login_is_told_without_the_password(emulated_session: AwsSession, postgres: Postgres) -> None:
    url = f"postgresql://capctl:a-wrong-password@127.0.0.1:{postgres.port}/capctl"
    with pytest.raises(CapctlError, match=r"127\.0\.0\.1") as failed:
        StoredResults(emulated_session).rows(url, "s-1")
    assert failed.value.code == "database-unreachable"
    assert "a-wrong-password" not in failed.value.message
