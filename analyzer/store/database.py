"""Connections to PostgreSQL, what they wait for at most, and its errors as typed ones."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Timer
from typing import Any, TypeAlias

import psycopg
from pgvector.psycopg import register_vector

from analyzer.errors import AnalyzerError, DependencyDown, Mismatch, RequestInvalid, RowsInvalid

Connection: TypeAlias = "psycopg.Connection[Any]"

# A host that is gone says nothing: both ends ask after 15 s of silence, three times, and then give the connection up.
KEEPALIVE = {"idle": 15, "interval": 5, "count": 3}
KEEPALIVE_S = KEEPALIVE["idle"] + KEEPALIVE["interval"] * KEEPALIVE["count"]
_NOT_RETRIABLE = (
    psycopg.errors.InvalidPassword,
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.UndefinedFile,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedObject,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.DuplicateTable,
)
# The server refused the login itself; these arrive as plain OperationalError without a SQLSTATE.
_LOGIN_REFUSED = ("password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
_ROWS_REFUSED = (psycopg.errors.IntegrityError, psycopg.errors.DataError, psycopg.errors.ProgramLimitExceeded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait at most: for a connection, for one statement or transaction, for a lock, and at a claim for an attempt that
    may be dead to lose its hold. A server that has said nothing for `silence_s` more than a statement may take stands still.
    """

    connect_s: int = 10
    statement_s: float = 120
    lock_s: float = 60
    claim_s: float = KEEPALIVE_S + 10
    silence_s: float = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """An address. Everything that psycopg raises within `explained` becomes a typed error that never shows the password."""

    url: str
    patience: Patience = Patience()

    def connect(self) -> Connection:
        """A connection in autocommit mode. Raises: psycopg.Error."""
        opened = psycopg.connect(
            self.url,
            autocommit=True,
            connect_timeout=self.patience.connect_s,
            application_name="analyzer",
            **{f"keepalives_{name}": value for name, value in KEEPALIVE.items()},
            tcp_user_timeout=1000 * KEEPALIVE_S,
        )
        try:
            settings = {
                "statement_timeout": f"{round(1000 * self.patience.statement_s)}ms",
                "lock_timeout": f"{round(1000 * self.patience.lock_s)}ms",
                # An attempt says nothing while its models are at work.
                "idle_session_timeout": "0",
                **{f"tcp_keepalives_{name}": str(value) for name, value in KEEPALIVE.items()},
            }
            settle = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            opened.execute(f"select {settle}", [part for setting in settings.items() for part in setting])
        except BaseException:
            opened.close()
            raise
        return opened

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One connection for the block, closed at its end. Raises: DependencyDown, Mismatch or RowsInvalid."""
        with self.explained():
            opened = self.connect()
            try:
                yield opened
            finally:
                opened.close()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Committed at the end, rolled back on any exception; a server that says nothing any more loses the connection.

        Raises: psycopg.Error.
        """
        # The server's own timeout does not help where the server stands still.
        watch = Timer(self.patience.statement_s + self.patience.silence_s, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            with connection.transaction():
                yield
        finally:
            watch.cancel()

    @contextmanager
    def explained(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.explain(error) from error

    def explain(self, error: psycopg.Error) -> AnalyzerError:
        text = " ".join(str(error).split()) or type(error).__name__
        # A URL inside a message would carry the password into the job's log.
        detail = re.sub(r"\S+://\S+", "<url>", text.replace(self.url, "<url>"))[:300]
        # libpq reports a malformed address in two ways: from its parser, or as a connection that failed.
        if error.sqlstate is None and (isinstance(error, psycopg.ProgrammingError) or "connection option" in text):
            return RequestInvalid(
                "database-url-invalid",
                "The database's URL is not a PostgreSQL address",
                hint="Set `--database` (a job: `DATABASE_URL`) to `postgresql://user:password@host:5432/database`",
            )
        if isinstance(error, psycopg.errors.UndefinedTable):
            return Mismatch(
                "database-unmigrated",
                f"The database lacks tables of this version: {detail}",
                hint="Run `analyzer database migrate`; a job does so by itself where its login may",
            )
        if isinstance(error, _NOT_RETRIABLE) or any(each in text for each in _LOGIN_REFUSED):
            return Mismatch(
                "database-refused",
                f"PostgreSQL refuses the job: {detail}",
                hint="Check the login, its rights, the database name and that the server offers the `vector` extension",
            )
        if isinstance(error, _ROWS_REFUSED):
            return RowsInvalid("rows-refused", f"PostgreSQL refuses the rows: {detail}")
        if isinstance(error, psycopg.errors.DiskFull):
            return DependencyDown(
                "database-full", f"PostgreSQL has no space left: {detail}", hint="Give the database a larger volume"
            )
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return read_only(detail)
        return DependencyDown(
            "database-down",
            f"PostgreSQL does not serve: {detail}",
            hint="Check that the server runs and is reachable from the job; then submit the job again",
        )


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the connection is gone, and not only its last statement."""
    ended = (error.sqlstate or "").startswith(("08", "57P"))
    return ended or connection.closed or connection.broken


def read_only(detail: str) -> DependencyDown:
    return DependencyDown(
        "database-read-only",
        f"PostgreSQL takes no rows now: {detail}",
        hint="Let DATABASE_URL name the primary server; one whose disk is full may be read-only too",
    )


def register_vectors(connection: Connection) -> None:
    """Let vectors travel in their binary form. Raises: Mismatch, when the database lacks pgvector 0.7 or later."""
    found = connection.execute("select to_regtype('halfvec') is not null").fetchone()
    if not found or not found[0]:
        raise pgvector_missing("has no type `halfvec`")
    register_vector(connection)


def pgvector_missing(why: str) -> Mismatch:
    return Mismatch(
        "pgvector-missing",
        f"The database {why}",
        hint="Install pgvector 0.7 or later on the server, then `create extension vector` or `alter extension vector update`",
    )


def _cut(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error):
        socket.socket(fileno=os.dup(connection.fileno())).shutdown(socket.SHUT_RDWR)
