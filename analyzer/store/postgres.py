"""PostgreSQL with pgvector: one transaction replaces everything that a session stored before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.types.json import Jsonb

from analyzer.contract import Table
from analyzer.errors import AnalyzerError, DependencyDown, Mismatch
from analyzer.store.rows import SessionRows

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 120
LOCK_TIMEOUT_S = 60
# Any fixed number: jobs that start together create the tables one after the other.
_SCHEMA_LOCK = 0x6361706374
_NOT_RETRIABLE = (
    psycopg.errors.InvalidPassword,
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.UndefinedFile,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
)
# The server refused the login itself; these arrive as plain OperationalError without a SQLSTATE.
_LOGIN_REFUSED = ("password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")


class PostgresStore:
    """Rows in PostgreSQL, keyed by session.

    Raises: DependencyDown, when the server cannot be reached or breaks off; Mismatch, when it refuses the login, lacks
    pgvector or has other tables.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def check(self) -> None:
        """Connect and create the tables that are missing, so that a wrong address fails before the video is read."""
        with self._connection() as connection:
            connection.execute("select pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
            present = connection.execute(
                "select count(*) from unnest(%s::text[]) as name where to_regclass(name) is not null", [list(Table)]
            ).fetchone()
            # The tables may belong to someone who may create them while this login may only fill them.
            if present is None or present[0] < len(Table):
                connection.execute(resources.files("analyzer").joinpath("store/schema.sql").read_text("utf-8"))

    def replace(self, rows: SessionRows) -> dict[str, Any]:
        """Delete the session's rows and copy the new ones in one transaction; then count what is there."""
        with self._connection() as connection:
            register_vector(connection)
            # Two attempts of one session must not interleave; the second waits and then replaces the first.
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [rows.session_id])
            connection.execute("delete from analysis_jobs where session_id = %s", [rows.session_id])
            for table, entries in rows.tables.items():
                self._copy(connection, table, entries)
        counts: dict[str, int] = {}
        with self._connection() as connection:
            for table in rows.tables:
                query = sql.SQL("select count(*) from {} where session_id = %s").format(sql.Identifier(table))
                counted = connection.execute(query, [rows.session_id]).fetchone()
                counts[str(table)] = int(counted[0]) if counted else 0
        if counts != rows.counts:
            raise DependencyDown(
                "rows-not-stored",
                f"PostgreSQL holds {counts} for session `{rows.session_id}`, expected {rows.counts}",
                hint="Another job with the same SESSION_ID may have replaced them; give each video its own id",
            )
        return {"store": "postgres", "rows": counts}

    @staticmethod
    def _copy(connection: psycopg.Connection[Any], table: Table, entries: list[dict[str, Any]]) -> None:
        if not entries:
            return
        columns = list(entries[0])
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), names)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in entries:
                copy.write_row([_adapt(row[column]) for column in columns])

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """One connection and one transaction: committed at the end, rolled back on any exception."""
        try:
            with psycopg.connect(self._url, connect_timeout=CONNECT_TIMEOUT_S, application_name="analyzer") as opened:
                opened.execute("select set_config('statement_timeout', %s, false)", [f"{STATEMENT_TIMEOUT_S}s"])
                opened.execute("select set_config('lock_timeout', %s, false)", [f"{LOCK_TIMEOUT_S}s"])
                yield opened
        except psycopg.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: psycopg.Error) -> AnalyzerError:
        text = " ".join(str(error).split()) or type(error).__name__
        # A URL inside a message would carry the password into the job's log.
        detail = re.sub(r"\S+://\S+", "<url>", text.replace(self._url, "<url>"))[:300]
        # libpq reports a malformed address in two ways: from its parser, or as a connection that failed.
        if error.sqlstate is None and (isinstance(error, psycopg.ProgrammingError) or "connection option" in text):
            return Mismatch(
                "database-url-invalid",
                "DATABASE_URL is not a PostgreSQL address",
                hint="Set DATABASE_URL to `postgresql://user:password@host:5432/database`",
            )
        if isinstance(error, _NOT_RETRIABLE) or any(each in text for each in _LOGIN_REFUSED):
            return Mismatch(
                "database-refused",
                f"PostgreSQL refuses the job: {detail}",
                hint="Check the login, the database name and that the server offers the `vector` extension",
            )
        return DependencyDown(
            "database-down",
            f"PostgreSQL does not serve: {detail}",
            hint="Check that the server runs and is reachable from the job; then submit the job again",
        )


def _adapt(value: Any) -> Any:
    if isinstance(value, dict):
        return Jsonb(value)
    return HalfVector(value) if isinstance(value, list) else value
