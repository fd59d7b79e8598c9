"""The rows that jobs stored in PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from lifecycle.domain.job import contract
from lifecycle.errors import CapctlError

_CONNECT_TIMEOUT_S = 10


class PostgresResults:
    """`ports.Results`."""

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        with _connected(database_url, f"The rows of `{session_id}` cannot be counted") as connection:
            present = _tables(connection)
            return {
                table.value: _count(connection, table.value, session_id)
                for table in contract.Table
                if table.value in present
            }

    def dimensions(self, database_url: str, session_id: str) -> frozenset[int]:
        with _connected(database_url, f"The vectors of `{session_id}` cannot be looked at") as connection:
            if contract.Table.EMBEDDINGS.value not in _tables(connection):
                return frozenset()
            # What a vector has, whatever the row says of it.
            query = sql.SQL("SELECT DISTINCT vector_dims(v) FROM {} WHERE session_id = %s")
            found = connection.execute(query.format(sql.Identifier(contract.Table.EMBEDDINGS.value)), (session_id,))
            return frozenset(int(row[0]) for row in found)


@contextmanager
def _connected(database_url: str, failed: str) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    try:
        with psycopg.connect(database_url, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
            yield connection
    except psycopg.Error as error:
        raise CapctlError(
            "database-unreachable",
            f"{failed} in the database at `{urlsplit(database_url).hostname or 'this machine'}`: {error}",
            hint="Check `smoke.database_url`, or leave it out to skip what is asked of the database",
        ) from error


def _tables(connection: "psycopg.Connection[tuple[Any, ...]]") -> set[str]:
    found = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))"
    )
    return {str(row[0]) for row in found}


def _count(connection: "psycopg.Connection[tuple[Any, ...]]", table: str, session_id: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE session_id = %s").format(sql.Identifier(table))
    row = connection.execute(query, (session_id,)).fetchone()
    return int(row[0]) if row else 0
