"""PostgreSQL with pgvector: one transaction per segment, fenced by the attempt's number and its advisory lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from psycopg import sql

from analyzer.contract import Table
from analyzer.errors import AnalyzerError, Mismatch, RowsInvalid
from analyzer.store.base import COLUMNS, Claim, Row, SegmentRows, Work
from analyzer.store.database import Connection, Database, Patience
from analyzer.store.hold import Hold
from analyzer.store.indexes import build_small_indexes
from analyzer.store.migrate import prepare
from analyzer.store.rows import Values, as_row, canonical, to_json
from analyzer.store.state import FINISHED, State, count_of, elsewhere, ended_early, ended_well, superseded
from analyzer.store.tables import copy_rows, delete_rows, page_of_rows

# A sign of life costs a transaction; a human who watches does not see it more often.
PROGRESS_EVERY_S = 2.0
PAGE_ROWS = 2000


class PostgresStore:
    """`base.Store` in PostgreSQL. Raises besides: RowsInvalid, for rows that no store can take.

    A pool between the job and the server must give it a server connection for as long as it lives: the lock is one of the session's.
    """

    name = "postgres"

    def __init__(
        self, url: str, *, patience: Patience | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = Database(url=url, patience=patience or Patience())
        self._clock = clock
        self._told_s = -PROGRESS_EVERY_S
        self._hold: Hold | None = None
        self._session_id = ""
        self._attempt = 0
        self._finished: Mapping[str, Any] = {}

    def check(self) -> None:
        """Connect, make the tables that are missing, and ask for the rights to fill them."""
        prepare(self._database)

    def claim(self, work: Work) -> Claim:
        self.close()
        hold = Hold(self._database, work.session_id)
        hold.take()
        try:
            claim = hold.transaction(lambda connection: _claim(connection, work))
        except BaseException:
            hold.release()
            raise
        self._hold, self._session_id, self._attempt = hold, work.session_id, claim.attempt
        self._finished = claim.finished or {}
        return claim

    def begin(self, segment: int) -> int:
        def note(connection: Connection) -> int:
            self._fence(connection)
            row = connection.execute(
                "update analysis_jobs set running = array_append(array_remove(running, %(segment)s), %(segment)s), "
                "updated_at = now(), heartbeat_at = now() where session_id = %(session)s "
                "returning coalesce((strikes ->> %(segment)s::text)::integer, 0)",
                {"segment": segment, "session": self._session_id},
            ).fetchone()
            return int(row[0]) if row else 0

        return self._held.transaction(note)

    def commit(self, rows: SegmentRows) -> None:
        values = canonical(rows)
        checkpoint = to_json(rows.checkpoint)

        def store(connection: Connection) -> None:
            next_segment = self._fence(connection)
            if rows.segment > next_segment:
                raise RowsInvalid("segment-skipped", f"Segment {rows.segment} comes before segment {next_segment}")
            # Rows of a segment are there if and only if it was committed.
            if rows.segment < next_segment:
                delete_rows(connection, self._session_id, "and segment = %s", [rows.segment])
            for table, entries in values.items():
                copy_rows(connection, table, self._session_id, entries)
            connection.execute(
                "update analysis_jobs set next_segment = greatest(next_segment, %(segment)s + 1), "
                "checkpoint = case when next_segment <= %(segment)s + 1 then %(checkpoint)s::jsonb else checkpoint end, "
                "running = array_remove(running, %(segment)s), strikes = strikes - %(segment)s::text, fruitless = 0, "
                "updated_at = now(), heartbeat_at = now() where session_id = %(session)s",
                {"segment": rows.segment, "checkpoint": checkpoint, "session": self._session_id},
            )

        self._held.transaction(store)

    def progress(self, done: float) -> None:
        """Written at most every `PROGRESS_EVERY_S`, and not at all while something else is, or the server does not serve.

        Raises: Superseded.
        """
        now_s = self._clock()
        if now_s - self._told_s < PROGRESS_EVERY_S:
            return
        self._told_s = now_s

        def note(connection: Connection) -> int:
            updated = connection.execute(
                "update analysis_jobs set progress = %s, heartbeat_at = now() where session_id = %s and attempt = %s",
                [min(1.0, max(0.0, done)), self._session_id, self._attempt],
            )
            return int(updated.rowcount)

        if self._held.transaction_at_leisure(note) == 0:
            raise superseded(self._session_id)

    def finish(self, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
        """As promised; afterwards indexes are made where the embeddings have become many, which may fail without harm."""
        state = ended_well(outcome)

        def store(connection: Connection) -> Mapping[str, Any]:
            self._fence(connection)
            counts = {str(Table.JOBS): 1}
            for table in COLUMNS:
                query = sql.SQL("select count(*) from {} where session_id = %s").format(sql.Identifier(table))
                counted = connection.execute(query, [self._session_id]).fetchone()
                counts[str(table)] = int(counted[0]) if counted else 0
            noted = {**outcome, "rows": counts}
            connection.execute(
                "update analysis_jobs set state = %s, outcome = %s::jsonb, checkpoint = null, progress = 1, "
                "running = '{}', strikes = '{}', updated_at = now(), heartbeat_at = now() where session_id = %s",
                [state, to_json(noted), self._session_id],
            )
            return noted

        noted = self._finished = self._held.transaction(store)
        with suppress(AnalyzerError):
            build_small_indexes(self._database)
        return noted

    def give_up(self, outcome: Mapping[str, Any]) -> None:
        if self._hold is None:
            return
        with suppress(Exception):
            state, text = ended_early(outcome), to_json(outcome)

            def note(connection: Connection) -> None:
                connection.execute(
                    "update analysis_jobs set state = %s, outcome = %s::jsonb, running = '{}', "
                    "fruitless = greatest(0, fruitless - %s), updated_at = now() "
                    "where session_id = %s and attempt = %s and state = 'running'",
                    [state, text, int(state is State.INTERRUPTED), self._session_id, self._attempt],
                )

            self._hold.last_word(note)

    def read(self, table: Table) -> Iterator[Row]:
        # Page by page by key: no transaction is open while the reader does something else.
        behind: Values | None = None
        found, count = 0, count_of(self._finished, table)
        while True:
            page = self._held.transaction(
                partial(page_of_rows, table=table, session_id=self._session_id, behind=behind, limit=PAGE_ROWS)
            )
            yield from (as_row(table, values) for values in page)
            found += len(page)
            if len(page) < PAGE_ROWS:
                break
            behind = page[-1]
        if count is not None and found != count:
            raise Mismatch(
                "table-damaged",
                f"`{table}` holds {found} rows of the session `{self._session_id}`, but {count} were stored",
                hint="Delete the session's row in `analysis_jobs`, then its next job does the work again",
            )

    def close(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.release()

    @property
    def _held(self) -> Hold:
        assert self._hold is not None, "claim comes first"
        return self._hold

    def _fence(self, connection: Connection) -> int:
        """Lock the session's row for this transaction; returns the first segment that is not committed.

        Raises: Superseded.
        """
        row = connection.execute(
            "select attempt, next_segment from analysis_jobs where session_id = %s for update", [self._session_id]
        ).fetchone()
        if row is None or row[0] != self._attempt:
            raise superseded(self._session_id)
        return int(row[1])


def _claim(connection: Connection, work: Work) -> Claim:
    row = connection.execute(
        "select attempt, state, fingerprint, next_segment, running, strikes, fruitless, checkpoint, outcome, "
        "request ->> 'result' "
        "from analysis_jobs where session_id = %s for update",
        [work.session_id],
    ).fetchone()
    values = {"session": work.session_id, "fingerprint": work.fingerprint, "url": work.video_url}
    values["request"] = to_json(work.request)
    if row is None:
        connection.execute(
            "insert into analysis_jobs (session_id, state, attempt, fingerprint, video_url, request, fruitless) "
            "values (%(session)s, 'running', 1, %(fingerprint)s, %(url)s, %(request)s::jsonb, 1)",
            values,
        )
        return Claim(attempt=1)
    attempt, state, fingerprint, next_segment, running, strikes, fruitless, checkpoint, outcome, kept_at = row
    # Pictures do not go with the rows.
    if fingerprint == work.fingerprint and next_segment > 0 and kept_at != work.request.get("result"):
        raise elsewhere(work.session_id, kept_at)
    if fingerprint == work.fingerprint and state in FINISHED:
        return Claim(attempt=attempt, next_segment=next_segment, finished=outcome)
    # The number goes on where the work is another, so that no attempt at the old work has the number of one at the new.
    values["attempt"] = attempt + 1
    if fingerprint != work.fingerprint:
        delete_rows(connection, work.session_id, "", [])
        connection.execute(
            "update analysis_jobs set state = 'running', attempt = %(attempt)s, fingerprint = %(fingerprint)s, "
            "video_url = %(url)s, request = %(request)s::jsonb, progress = 0, next_segment = 0, running = '{}', "
            "strikes = '{}', fruitless = 1, checkpoint = null, outcome = null, created_at = now(), updated_at = now(), "
            "heartbeat_at = now() where session_id = %(session)s",
            values,
        )
        return Claim(attempt=attempt + 1, replaces=state in FINISHED)
    # What the attempt before had begun and neither committed nor given up is what it died in.
    for segment in running:
        strikes[str(segment)] = strikes.get(str(segment), 0) + 1
    connection.execute(
        "update analysis_jobs set state = 'running', attempt = %(attempt)s, video_url = %(url)s, "
        "request = %(request)s::jsonb, running = '{}', strikes = %(strikes)s::jsonb, fruitless = fruitless + 1, "
        "outcome = null, updated_at = now(), heartbeat_at = now() where session_id = %(session)s",
        {**values, "strikes": to_json(strikes)},
    )
    return Claim(attempt=attempt + 1, next_segment=next_segment, checkpoint=checkpoint, fruitless=fruitless)
