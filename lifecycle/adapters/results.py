"""The rows that jobs stored in PostgreSQL."""

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
        try:
            with psycopg.connect(database_url, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
                found = connection.execute(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))"
                )
                present = {str(row[0]) for row in found}
                return {
                    table.value: _count(connection, table.value, session_id)
                    for table in contract.Table
                    if table.value in present
                }
        except psycopg.Error as error:
            parts = urlsplit(database_url)
            raise CapctlError(
                "database-unreachable",
                f"The rows of `{session_id}` cannot be counted in the database at `{parts.hostname or 'this machine'}`: {error}",
                hint="Check `smoke.database_url`, or leave it out to skip the count",
            ) from error


def _count(connection: "psycopg.Connection[tuple[Any, ...]]", table: str, session_id: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {} WHERE session_id = %s").format(sql.Identifier(table))
    row = connection.execute(query, (session_id,)).fetchone()
    return int(row[0]) if row else 0
