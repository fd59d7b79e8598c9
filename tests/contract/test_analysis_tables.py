"""The tables and indexes of a database: made by whoever comes first, older or newer than the analyzer, foreign, or impossible."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from analyzer import cli
from analyzer.contract import ExitCode, Table
from analyzer.errors import AnalyzerError, DependencyDown, Mismatch
from analyzer.store.base import SegmentRows
from analyzer.store.database import Database
from analyzer.store.indexes import Verdict, build_indexes, index_name
from analyzer.store.migrate import Migration, known_migrations, migrate, prepare
from analyzer.store.postgres import PostgresStore
from lifecycle.rehearsal.services.postgres import Postgres
from tests.contract.store_parts import HASTY, execute, play, require_whole, work_of

pytestmark = pytest.mark.rehearsal


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database of the test's own, in which nobody has made anything."""
    name = f"d{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield postgres.dsn.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def next_migration(*, oldest_reader: int) -> Migration:
    number = known_migrations()[-1].number + 1
    text = "alter table analysis_jobs add column note text"
    return Migration(number=number, name="note", text=text, oldest_reader=oldest_reader)


def test_tables_are_made_once_by_whoever_comes_first(empty: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(lambda _: migrate(Database(url=empty)), range(4)))
    assert sorted(len(each) for each in applied) == [0, 0, 0, len(known_migrations())]
    assert migrate(Database(url=empty)) == []
    assert execute(empty, "select version from analysis_schema order by version") == [
        (each.number,) for each in known_migrations()
    ]


def test_migration_that_fails_leaves_nothing(empty: str) -> None:
    broken = replace(next_migration(oldest_reader=1), text="create table t (); select 1 / 0")
    with pytest.raises(AnalyzerError):
        migrate(Database(url=empty), (*known_migrations(), broken))
    assert execute(empty, "select to_regclass('analysis_jobs'), to_regclass('t')") == [(None, None)]


def test_older_tables_change_by_themselves_only_where_older_jobs_can_bear_it(empty: str) -> None:
    database, newest = Database(url=empty), known_migrations()[-1].number
    prepare(database)
    harsh = (*known_migrations(), next_migration(oldest_reader=newest + 1))
    with pytest.raises(Mismatch, match="could not work with those") as older:
        prepare(database, harsh)
    assert older.value.code == "tables-older"
    gentle = (*known_migrations(), next_migration(oldest_reader=newest))
    prepare(database, gentle)
    prepare(database)
    play(PostgresStore(empty, patience=HASTY), work_of("s-1"))


def test_newer_tables_are_refused_unless_they_bear_older_jobs(empty: str) -> None:
    database, newest = Database(url=empty), known_migrations()[-1].number
    migrate(database, (*known_migrations(), next_migration(oldest_reader=newest + 1)))
    for refused in (prepare, migrate):
        with pytest.raises(Mismatch, match=f"version {newest + 1}, this analyzer knows them up to {newest}") as newer:
            refused(database)
        assert newer.value.code == "tables-newer"


def test_tables_without_a_version_are_left_alone(empty: str) -> None:
    execute(empty, "create table analysis_tracks (session_id text)")
    with pytest.raises(Mismatch, match="analysis_tracks") as unversioned:
        prepare(Database(url=empty))
    assert unversioned.value.code == "tables-unversioned"
    assert execute(empty, "select to_regclass('analysis_jobs')") == [(None,)]


def test_a_search_in_a_database_without_tables_names_the_command_that_makes_them(
    empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(empty, "create extension if not exists vector")
    assert cli.main(["search", "--database", empty, "--like", "clip/1"]) == ExitCode.MISMATCH
    told = capsys.readouterr().err
    assert told.startswith("error[database-unmigrated]: ")
    assert "`analyzer database migrate`" in told


def test_login_that_may_only_fill_the_tables_works_and_one_that_may_not_is_told_what(empty: str) -> None:
    login = f"filler_{uuid.uuid4().hex[:8]}"
    migrate(Database(url=empty))
    execute(empty, f"create role {login} login password 'a-secret'", "revoke create on schema public from public")
    url = empty.replace(empty.partition("://")[2].partition("@")[0], f"{login}:a-secret")
    with pytest.raises(Mismatch, match="permission denied"):
        PostgresStore(url).check()
    execute(empty, f"grant select on all tables in schema public to {login}")
    with pytest.raises(Mismatch, match=f"`{login}` lacks the right to insert on `analysis_jobs`"):
        PostgresStore(url).check()
    execute(empty, f"grant insert, update, delete on all tables in schema public to {login}")
    store = PostgresStore(url, patience=HASTY)
    store.check()
    play(store, work_of("s-1"))
    require_whole(store, work_of("s-1"))
    with pytest.raises(Mismatch) as refused:
        PostgresStore(url.replace("a-secret", "a-wrong-one")).check()
    assert (refused.value.code, "a-wrong-one" in str(refused.value)) == ("database-refused", False)
    execute(empty, f"drop owned by {login}", f"drop role {login}")


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ("-cdefault_transaction_read_only=on", DependencyDown, "database-read-only"),
        ("-cextension_control_path=/nowhere -cdynamic_library_path=/nowhere", Mismatch, "pgvector-missing"),
    ],
)
def test_server_that_cannot_take_rows_is_told_apart(
    options: str, kind: type[AnalyzerError], code: str, empty: str
) -> None:
    with pytest.raises(kind) as refused:
        PostgresStore(f"{empty}?options={options.replace(' ', '%20').replace('=', '%3D')}").check()
    assert refused.value.code == code


def test_index_is_made_per_space_where_it_pays(empty: str) -> None:
    database = Database(url=empty)
    PostgresStore(empty).check()
    store = PostgresStore(empty)
    store.claim(work_of("s-1"))
    vectors = {"a": (3, 40), "b": (5, 10), "it's": (4001, 20)}
    store.commit(
        SegmentRows(
            segment=0,
            rows={
                Table.EMBEDDINGS: [
                    {"segment": 0, "space": space, "kind": "track", "ref": ref, "pts_ms": 0}
                    | {"dimension": dimension, "v": [1.0] + [ref / 64] * (dimension - 1)}
                    for space, (dimension, count) in vectors.items()
                    for ref in range(count)
                ]
            },
        )
    )
    store.close()
    # One whose making was cut off is made anew.
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(
            f"create index {index_name('a', 3)} on analysis_embeddings using hnsw ((v::halfvec(3)) halfvec_cosine_ops)"
            " where space = 'a'"
        )
        connection.execute(
            f"update pg_index set indisvalid = false where indexrelid = '{index_name('a', 3)}'::regclass"
        )
    with ThreadPoolExecutor(2) as threads:
        found = [*threads.map(lambda _: build_indexes(database, min_rows=20), range(2))]
    verdicts = [{each.space: each.verdict for each in one} for one in found]
    assert {each["a"] for each in verdicts} in ({Verdict.MADE, Verdict.BUSY}, {Verdict.MADE, Verdict.PRESENT})
    assert all((each["b"], each["it's"]) == (Verdict.TOO_FEW, Verdict.TOO_WIDE) for each in verdicts)
    assert build_indexes(database, min_rows=20)[0].verdict is Verdict.PRESENT
    (plan,) = execute(
        empty,
        "set enable_seqscan = off",
        "explain (format json) select ref from analysis_embeddings where space = 'a' and dimension = 3 "
        "order by v::halfvec(3) <=> '[1,0,0]'::halfvec(3) limit 5",
    )
    assert index_name("a", 3) in str(plan)
