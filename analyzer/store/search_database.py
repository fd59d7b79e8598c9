"""Search in PostgreSQL: along the HNSW index of the space where there is one, by an exact scan elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pgvector import HalfVector
from psycopg import sql

from analyzer.store.database import Connection, Database, register_vectors
from analyzer.store.search import Hit, Item, Maker, Query, Vector, maker_of

# pgvector's bounds of `hnsw.ef_search`.
_LEAST_CANDIDATES, _MOST_CANDIDATES = 40, 1000

# The cast, the space and the dimension stand in the text as the index has them, or it would not be used.
# A cast to another dimension fails, so whoever stored a vector of another one into a space is left out.
_NEAREST = """
with nearest as materialized (
    select session_id, kind, ref, pts_ms, v::halfvec({dimension}) <=> {vector} as distance
    from analysis_embeddings
    where space = {space} and dimension = {dimension} and not (session_id = {session} and kind = {kind} and ref = {ref}){sessions}
    order by v::halfvec({dimension}) <=> {vector}
    limit {limit}
)
select nearest.session_id, nearest.kind, nearest.ref, nearest.pts_ms, nearest.distance, jobs.video_url,
    tracks.label, tracks.first_ms, tracks.last_ms
from nearest
join analysis_jobs jobs on jobs.session_id = nearest.session_id
left join analysis_tracks tracks
    on nearest.kind = 'track' and tracks.session_id = nearest.session_id and tracks.track = nearest.ref
order by nearest.distance, nearest.session_id, nearest.kind, nearest.ref
"""

_MAKERS = """
select min(session_id), request #> '{backend,embedding}'
from analysis_jobs
where %(everywhere)s or session_id = any (%(sessions)s)
group by 2
"""


class SearchedDatabase:
    """`search.Searched` over every session that the database holds, also those that are still worked on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def makers(self, sessions: Sequence[str]) -> list[Maker]:
        with self._database.connection() as connection:
            rows = connection.execute(_MAKERS, {"everywhere": not sessions, "sessions": list(sessions)}).fetchall()
        return [maker for session_id, description in rows if (maker := maker_of(session_id, description))]

    def vectors(self, item: Item) -> dict[str, Vector]:
        with self._database.connection() as connection:
            register_vectors(connection)
            rows = connection.execute(
                "select space, v from analysis_embeddings where session_id = %s and kind = %s and ref = %s",
                [item.session_id, item.kind, item.ref],
                binary=True,
            ).fetchall()
        return {str(space): vector.to_numpy().astype(np.float32) for space, vector in rows}

    def nearest(self, query: Query) -> list[Hit]:
        with self._database.connection() as connection:
            register_vectors(connection)
            with self._database.transaction(connection):
                _scan_on(connection, query.limit)
                rows = connection.execute(_statement(query)).fetchall()
        return [
            Hit(
                item=Item(session_id=session_id, kind=kind, ref=ref),
                similarity=1.0 - distance,
                pts_ms=pts_ms,
                video_url=video_url,
                label=label,
                first_ms=first_ms,
                last_ms=last_ms,
            )
            for session_id, kind, ref, pts_ms, distance, video_url, label, first_ms, last_ms in rows
            if math.isfinite(distance)
        ]


def _scan_on(connection: Connection, limit: int) -> None:
    """Let a scan of the index go on until enough of what it finds passes the filters."""
    candidates = min(_MOST_CANDIDATES, max(_LEAST_CANDIDATES, 2 * limit))
    settings = {"hnsw.ef_search": str(candidates)}
    version = connection.execute("select extversion from pg_extension where extname = 'vector'").fetchone()
    if version and tuple(map(int, str(version[0]).split(".")[:2])) >= (0, 8):
        settings["hnsw.iterative_scan"] = "strict_order"
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, true)", [name, value])


def _statement(query: Query) -> sql.Composed:
    item = query.item or Item(session_id="", kind="", ref=0)
    dimension = sql.Literal(len(query.vector))
    sessions = sql.SQL(" and session_id = any ({})").format(sql.Literal(list(query.sessions)))
    return sql.SQL(_NEAREST).format(
        dimension=dimension,
        vector=sql.SQL("{}::halfvec({})").format(sql.Literal(HalfVector(query.vector).to_text()), dimension),
        space=sql.Literal(query.space),
        session=sql.Literal(item.session_id),
        kind=sql.Literal(item.kind),
        ref=sql.Literal(item.ref),
        sessions=sessions if query.sessions else sql.SQL(""),
        limit=sql.Literal(query.limit),
    )
