"""HNSW indexes, one per space of embeddings and dimension, made after loading: on the write path one makes COPY some sixty times slower.

Below `MIN_ROWS` an exact scan is as fast. Source: pgvector's README on mixed dimensions (index over a cast, for one model).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

import psycopg
from psycopg import sql

from analyzer.contract import Table
from analyzer.store.database import Connection, Database, Patience

MIN_ROWS = 10_000
# What a job makes at its end takes seconds; more is for an operator, who has the time.
MAX_ROWS_OF_A_JOB = 50_000
# The limit of an HNSW index over `halfvec`, pgvector's README.
MAX_DIMENSION = 4000
_INDEX_LOCK = 0x6361706375
_JOB_PATIENCE = Patience(statement_s=120, lock_s=5)
_OPERATOR_PATIENCE = Patience(statement_s=24 * 3600, lock_s=60)


class Verdict(StrEnum):
    MADE = "made"
    PRESENT = "present"
    TOO_FEW = "too few rows"
    TOO_MANY = "too many rows for a job"
    TOO_WIDE = "more dimensions than an index takes"
    BUSY = "somebody else makes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceIndex:
    """What became of the index of one space; `rows` are counted up to a limit, None = not counted."""

    space: str
    dimension: int
    rows: int | None
    verdict: Verdict


def index_name(space: str, dimension: int) -> str:
    """At most 63 bytes whatever the space is called."""
    return f"analysis_embeddings_hnsw_{hashlib.sha256(f'{space}/{dimension}'.encode()).hexdigest()[:16]}"


def build_indexes(
    database: Database, *, min_rows: int = MIN_ROWS, on_build: Callable[[str, int], None] = lambda *_: None
) -> list[SpaceIndex]:
    """Make the index of every space that has at least `min_rows`; for operators, since it may take hours.

    Raises: DependencyDown, Mismatch.
    """
    patient = replace(database, patience=replace(_OPERATOR_PATIENCE, connect_s=database.patience.connect_s))
    return _build(patient, min_rows=min_rows, max_rows=None, on_build=on_build)


def build_small_indexes(database: Database) -> list[SpaceIndex]:
    """Make the indexes that have just become worth it, within seconds. Raises: DependencyDown, Mismatch."""
    hasty = replace(database, patience=replace(_JOB_PATIENCE, connect_s=database.patience.connect_s))
    return _build(hasty, min_rows=MIN_ROWS, max_rows=MAX_ROWS_OF_A_JOB, on_build=lambda *_: None)


def _build(
    database: Database, *, min_rows: int, max_rows: int | None, on_build: Callable[[str, int], None]
) -> list[SpaceIndex]:
    found = []
    with database.connection() as connection:
        for space, usual in _spaces(connection):
            # Counting takes long where rows are many, which is where there is an index already.
            if _is_valid(connection, index_name(space, usual)):
                found.append(SpaceIndex(space=space, dimension=usual, rows=None, verdict=Verdict.PRESENT))
                continue
            counted = _count(connection, space, None if max_rows is None else max_rows + 1)
            for dimension, rows in counted:
                name = index_name(space, dimension)
                if _is_valid(connection, name):
                    found.append(SpaceIndex(space=space, dimension=dimension, rows=None, verdict=Verdict.PRESENT))
                    continue
                verdict = _judge(rows, dimension, min_rows, max_rows)
                if verdict is Verdict.MADE:
                    on_build(space, rows)
                    verdict = _make(connection, space, dimension, name)
                found.append(SpaceIndex(space=space, dimension=dimension, rows=rows, verdict=verdict))
    return found


def _judge(rows: int, dimension: int, min_rows: int, max_rows: int | None) -> Verdict:
    if rows < min_rows:
        return Verdict.TOO_FEW
    if dimension > MAX_DIMENSION:
        return Verdict.TOO_WIDE
    return Verdict.TOO_MANY if max_rows is not None and rows > max_rows else Verdict.MADE


def _spaces(connection: Connection) -> list[tuple[str, int]]:
    """Space by space along the index, however many rows each has, with the dimension of one of its vectors."""
    rows = connection.execute(
        "with recursive spaces (space) as ("
        " (select space from analysis_embeddings order by space limit 1)"
        " union all"
        " select (select e.space from analysis_embeddings e where e.space > spaces.space order by e.space limit 1)"
        " from spaces where spaces.space is not null)"
        " select space, (select dimension from analysis_embeddings e where e.space = spaces.space limit 1)"
        " from spaces where space is not null"
    ).fetchall()
    return [(str(space), int(dimension)) for space, dimension in rows]


def _count(connection: Connection, space: str, limit: int | None) -> list[tuple[int, int]]:
    """The dimensions of a space, which are one where nobody stored another's vectors into it, and how many rows each has."""
    rows = connection.execute(
        "select dimension, count(*) from (select dimension from analysis_embeddings where space = %s limit %s) as found "
        "group by dimension order by dimension",
        [space, limit],
    ).fetchall()
    return [(int(dimension), int(count)) for dimension, count in rows]


def _is_valid(connection: Connection, name: str) -> bool:
    row = connection.execute("select indisvalid from pg_index where indexrelid = to_regclass(%s)", [name]).fetchone()
    return bool(row and row[0])


def _make(connection: Connection, space: str, dimension: int, name: str) -> Verdict:
    locked = connection.execute("select pg_try_advisory_lock(%s)", [_INDEX_LOCK]).fetchone()
    if not locked or not locked[0]:
        return Verdict.BUSY
    drop = sql.SQL("drop index concurrently if exists {}").format(sql.Identifier(name))
    try:
        if _is_valid(connection, name):
            return Verdict.PRESENT
        # One whose making was cut off is not used but written to.
        connection.execute(drop)
        connection.execute(
            sql.SQL(
                "create index concurrently {name} on {table} using hnsw ((v::halfvec({dimension})) halfvec_cosine_ops) "
                "where space = {space} and dimension = {dimension}"
            ).format(
                name=sql.Identifier(name),
                table=sql.Identifier(Table.EMBEDDINGS),
                dimension=sql.Literal(dimension),
                space=sql.Literal(space),
            )
        )
    except BaseException:
        with suppress(psycopg.Error):
            connection.execute(drop)
        raise
    finally:
        with suppress(psycopg.Error):
            connection.execute("select pg_advisory_unlock(%s)", [_INDEX_LOCK])
    return Verdict.MADE
