"""Rows into and out of the tables of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgvector import HalfVector
from psycopg import sql

from analyzer.contract import Table
from analyzer.store.base import COLUMNS, KEYS
from analyzer.store.database import Connection
from analyzer.store.rows import TYPES, Values, halves_of


def copy_rows(connection: Connection, table: Table, session_id: str, rows: Sequence[Values]) -> None:
    """COPY in the binary format; `rows` are those of `rows.canonical`."""
    if not rows:
        return
    columns = COLUMNS[table]
    names = sql.SQL(", ").join(map(sql.Identifier, ("session_id", *columns)))
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(sql.Identifier(table), names)
    vectors = [place for place, column in enumerate(columns, 1) if TYPES[column] == "halfvec"]
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["text", *(TYPES[column] for column in columns)])
        for row in rows:
            entry = [session_id, *row]
            for place in vectors:
                entry[place] = HalfVector(entry[place])
            copy.write_row(entry)


def delete_rows(connection: Connection, session_id: str, condition: str, parameters: list[Any]) -> None:
    for table in COLUMNS:
        query = sql.SQL("delete from {} where session_id = %s " + condition).format(sql.Identifier(table))
        connection.execute(query, [session_id, *parameters])


def page_of_rows(
    connection: Connection, table: Table, session_id: str, *, behind: Values | None, limit: int
) -> list[Values]:
    """Up to `limit` rows in the order of their keys, the first one behind the row `behind`."""
    columns = COLUMNS[table]
    places = [columns.index(column) for column in KEYS[table]]
    key = sql.SQL(", ").join(map(sql.Identifier, KEYS[table]))
    later = sql.SQL(" and ({}) > ({})").format(key, sql.SQL(", ").join([sql.Placeholder()] * len(places)))
    query = sql.SQL("select {} from {} where session_id = %s{} order by {} limit {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.Identifier(table),
        later if behind is not None else sql.SQL(""),
        key,
        limit,
    )
    parameters = [session_id, *([behind[place] for place in places] if behind is not None else [])]
    # Where the server has not counted the rows yet, it would sort all that is left for every page.
    connection.execute("select set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)")
    found = connection.execute(query, parameters, binary=True).fetchall()
    return [tuple(halves_of(each) if isinstance(each, HalfVector) else each for each in row) for row in found]
