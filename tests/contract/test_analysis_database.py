"""What PostgreSQL may do to the analyzer's store: be full, slow, cut off, still, gone."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from analyzer.contract import Table
from analyzer.errors import DependencyDown, Interrupted, Mismatch, RequestInvalid, Superseded
from analyzer.store.base import Work
from analyzer.store.database import Database
from analyzer.store.postgres import PostgresStore
from lifecycle.rehearsal.services.postgres import Postgres
from tests.contract.store_parts import (
    HASTY,
    OUTCOME,
    InPostgres,
    all_rows,
    execute,
    play,
    require_whole,
    segment_rows,
    work_of,
)

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    PostgresStore(postgres.dsn).check()
    return postgres.dsn


def test_server_that_is_full_takes_nothing_and_goes_on_later(dsn: str) -> None:
    kind = InPostgres(dsn=dsn)
    name = f"full_{uuid.uuid4().hex[:8]}"
    store = kind.open()
    store.claim(work_of(kind.session_id))
    store.commit(segment_rows(0))
    execute(
        dsn,
        f"create function {name}() returns trigger language plpgsql as "
        "$$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$",
        f"create trigger full_disk before insert on {Table.EMBEDDINGS} for each row "
        f"when (new.session_id = '{kind.session_id}') execute function {name}()",
    )
    with pytest.raises(DependencyDown, match="No space left") as full:
        store.commit(segment_rows(1))
    assert full.value.code == "database-full"
    store.give_up({"status": "failed"})
    store.close()
    counted = execute(dsn, f"select count(*) from {Table.DETECTIONS} where session_id = '{kind.session_id}'")
    assert counted == [(len(segment_rows(0).rows[Table.DETECTIONS]),)]
    execute(dsn, f"drop function {name} cascade")
    play(kind.open(), work_of(kind.session_id))
    require_whole(kind.open(), work_of(kind.session_id))


def test_rows_that_somebody_deleted_are_missed(dsn: str) -> None:
    kind = InPostgres(dsn=dsn)
    play(kind.open(), work_of(kind.session_id))
    execute(dsn, f"delete from {Table.DETECTIONS} where session_id = '{kind.session_id}' and segment = 1")
    store = kind.open()
    assert store.claim(work_of(kind.session_id)).finished
    assert list(store.read(Table.TRACKS)) == all_rows(Table.TRACKS)
    with pytest.raises(Mismatch, match=f"holds 12 rows of the session `{kind.session_id}`, but 18 were stored"):
        list(store.read(Table.DETECTIONS))
    store.close()


@pytest.mark.parametrize("end", ["cut off", "finished"])
def test_rows_do_not_go_on_where_their_pictures_are_not(end: str, dsn: str) -> None:
    kind = InPostgres(dsn=dsn)

    def at(place: str | None, fingerprint: str = "f-1") -> Work:
        return replace(work_of(kind.session_id, fingerprint), request={"result": place})

    store = kind.open()
    store.claim(at("/p0"))
    store.claim(at("/p1"))
    store.commit(segment_rows(0))
    if end == "finished":
        play(store, at("/p1"))
    for place in ("/p2", None):
        with pytest.raises(RequestInvalid, match="lie in `/p1`") as refused:
            store.claim(at(place))
        assert (refused.value.code, "SESSION_ID" in refused.value.hint) == ("result-elsewhere", True)
    play(store, at("/p1"))
    require_whole(store, at("/p1"))
    assert store.claim(at(None, "f-2")).next_segment == 0
    store.commit(segment_rows(0))
    with pytest.raises(RequestInvalid, match="were not kept"):
        store.claim(at("/p2", "f-2"))
    store.close()


def test_server_that_answers_too_late_is_given_up(dsn: str) -> None:
    kind = InPostgres(dsn=dsn)
    store = PostgresStore(dsn, patience=replace(HASTY, lock_s=0.1))
    store.claim(work_of(kind.session_id))
    with psycopg.connect(dsn) as other:
        other.execute("select 1 from analysis_jobs where session_id = %s for update", [kind.session_id])
        with pytest.raises(DependencyDown, match="lock timeout"):
            store.commit(segment_rows(0))
    store.commit(segment_rows(0))
    store.close()


@pytest.mark.parametrize("call", ["begin", "commit", "copy", "progress", "finish"])
def test_connection_may_be_cut_at_any_call(call: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it, and for `copy` in the middle of a transaction."""
    kind = InPostgres(dsn=dsn)
    store = PostgresStore(dsn, patience=HASTY)
    cuts = iter([kind.cut])

    def cut_once(owner: Any) -> None:
        action = getattr(owner, call)

        def cut_before(*arguments: Any, **options: Any) -> Any:
            next(cuts, lambda: None)()
            return action(*arguments, **options)

        monkeypatch.setattr(owner, call, cut_before)

    store.claim(work_of(kind.session_id))
    store.commit(segment_rows(0))
    cut_once(psycopg.Cursor if call == "copy" else store)
    for segment in (1, 2):
        store.begin(segment)
        store.progress(segment / 3)
        store.commit(segment_rows(segment))
    store.finish(OUTCOME)
    assert next(cuts, None) is None
    store.close()
    require_whole(kind.open(), work_of(kind.session_id))


@contextmanager
def standing_still(dsn: str) -> Iterator[None]:
    """Within the block, the server says nothing over the connection that holds a session."""
    ((backend,),) = execute(
        dsn,
        "select pid from pg_locks join pg_stat_activity using (pid)"
        " where locktype = 'advisory' and application_name = 'analyzer'",
    )
    os.kill(backend, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(backend, signal.SIGCONT)


def test_server_that_stands_still_is_given_up(dsn: str) -> None:
    kind = InPostgres(dsn=dsn)
    store = PostgresStore(dsn, patience=replace(HASTY, statement_s=0.5, silence_s=-0.3))
    store.claim(work_of(kind.session_id))
    with standing_still(dsn), pytest.raises(Superseded):
        store.commit(segment_rows(0))
    store.close()
    play(kind.open(), work_of(kind.session_id))
    require_whole(kind.open(), work_of(kind.session_id))


def test_last_word_reaches_a_server_that_stands_still_within_seconds(dsn: str) -> None:
    """With the patience of a real job: what is left of the ten seconds that it has after a stop signal."""
    kind = InPostgres(dsn=dsn)
    store = PostgresStore(dsn)
    store.claim(work_of(kind.session_id))
    with standing_still(dsn):
        begin_s = time.monotonic()
        store.give_up({"status": "interrupted"})
        assert time.monotonic() - begin_s < 3.5
        store.close()
        assert execute(dsn, f"select state from analysis_jobs where session_id = '{kind.session_id}'") == [
            ("interrupted",)
        ]


def test_stop_in_the_middle_of_a_commit_is_noted_and_nothing_of_it_is_stored(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = InPostgres(dsn=dsn)
    store = kind.open()
    store.claim(work_of(kind.session_id))
    store.begin(0)

    def stop(*_: object, **__: object) -> None:
        raise Interrupted("SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Copy, "write_row", stop)
        with pytest.raises(Interrupted):
            store.commit(segment_rows(0))
    store.give_up({"status": "interrupted"})
    store.close()
    (row,) = execute(
        dsn, f"select state, running, next_segment from analysis_jobs where session_id = '{kind.session_id}'"
    )
    assert row == ("interrupted", [], 0)
    again = kind.open()
    again.claim(work_of(kind.session_id))
    assert again.begin(0) == 0
    again.close()


def test_server_that_is_gone_is_down(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = InPostgres(dsn=dsn)
    store = kind.open()
    store.claim(work_of(kind.session_id))
    monkeypatch.setattr(Database, "connect", lambda _self: psycopg.connect("host=127.0.0.1 port=1"))
    kind.cut()
    store.progress(0.5)
    with pytest.raises(DependencyDown) as down:
        store.commit(segment_rows(0))
    assert down.value.code == "database-down"
    store.give_up({"status": "failed"})
    store.close()


def test_job_that_is_deleted_takes_its_rows_along(dsn: str) -> None:
    kind = InPostgres(dsn=dsn)
    play(kind.open(), work_of(kind.session_id))
    execute(dsn, f"delete from analysis_jobs where session_id = '{kind.session_id}'")
    left = [execute(dsn, f"select 1 from {table} where session_id = '{kind.session_id}'") for table in Table]
    assert left == [[]] * len(Table)
