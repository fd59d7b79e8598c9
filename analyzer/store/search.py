"""What looks most alike: cosine similarity among the embeddings of one space, in a database or in folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.contract import Table
from analyzer.store.base import Row
from analyzer.store.place import Place
from analyzer.store.state import count_of
from analyzer.store.table_files import read_job, read_table

Vector = NDArray[np.float32]

# Rows compared at once: a few megabytes, however many there are.
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What an embedding describes: a track or a scene (`kind`) with its number in a session."""

    session_id: str
    kind: str
    ref: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """`limit` items of `space` that are most alike `vector`, besides `item` itself; of `sessions` only, unless that is empty."""

    space: str
    vector: Vector
    limit: int
    sessions: tuple[str, ...] = ()
    item: Item | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """`similarity` is the cosine, -1 to 1; the last three are those of a track, None for a scene."""

    item: Item
    similarity: float
    pts_ms: int
    video_url: str
    label: str | None = None
    first_ms: int | None = None
    last_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The model that made a session's vectors: their space, and the SHA-256 of its weights by role, none for one without."""

    session_id: str
    space: str
    weights: Mapping[str, str]


class Searched(Protocol):
    """Where embeddings are. Raises `DependencyDown` and `Mismatch` as stores do."""

    def makers(self, sessions: Sequence[str]) -> list[Maker]:
        """What made the vectors of `sessions`, of all unless that is empty; at least one session for each model."""

    def vectors(self, item: Item) -> dict[str, Vector]:
        """The item's vector in each space that has one."""

    def nearest(self, query: Query) -> list[Hit]:
        """The most alike first."""


class SearchedFolders:
    """Finished sessions in folders or S3 prefixes, one in each; every vector is compared."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places

    def makers(self, sessions: Sequence[str]) -> list[Maker]:
        jobs = [read_job(place) for place in self._places]
        return [
            maker
            for row in jobs
            if (not sessions or row["session_id"] in sessions)
            and (maker := maker_of(row["session_id"], _within(_within(row["request"], "backend"), "embedding")))
        ]

    def vectors(self, item: Item) -> dict[str, Vector]:
        return {
            row["space"]: np.asarray(row["v"], np.float32)
            for place in self._places
            for row in _rows(place, Table.EMBEDDINGS, read_job(place))
            if _item(row) == item
        }

    def nearest(self, query: Query) -> list[Hit]:
        best: list[tuple[float, int, Item, int]] = []
        for number, place in enumerate(self._places):
            rows = (row for row in _rows(place, Table.EMBEDDINGS, read_job(place)) if _is_wanted(row, query))
            while batch := list(islice(rows, _BATCH_ROWS)):
                alike = cosines(np.asarray([row["v"] for row in batch], np.float32), query.vector)
                best += [
                    (float(each), number, _item(row), row["pts_ms"])
                    for each, row in zip(alike, batch, strict=True)
                    if np.isfinite(each)
                ]
                best = sorted(best, key=_order)[: query.limit]
        return [self._hit(*each) for each in best]

    def _hit(self, similarity: float, number: int, item: Item, pts_ms: int) -> Hit:
        place = self._places[number]
        job = read_job(place)
        track = next(
            (row for row in _rows(place, Table.TRACKS, job) if item.kind == "track" and row["track"] == item.ref), {}
        )
        return Hit(
            item=item,
            similarity=similarity,
            pts_ms=pts_ms,
            video_url=job["video_url"],
            **{column: track.get(column) for column in ("label", "first_ms", "last_ms")},
        )


def maker_of(session_id: str, description: Mapping[str, Any] | None) -> Maker | None:
    """From what the session's request says of its embedder, None where it says nothing."""
    if not description or "space" not in description:
        return None
    return Maker(session_id=session_id, space=description["space"], weights=weights_of(description))


def weights_of(description: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of each file that a model's description names, by role."""
    return {
        role: str(entry["sha256"])
        for role, entry in description.items()
        if isinstance(entry, Mapping) and "sha256" in entry
    }


def cosines(vectors: Vector, other: Vector) -> NDArray[np.float64]:
    """(n, d) and (d,) to (n,); NaN where a vector has no length."""
    products = vectors.astype(np.float64) @ other.astype(np.float64)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1) * float(np.linalg.norm(other.astype(np.float64)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(products / lengths, np.float64)


def _rows(place: Place, table: Table, job: Row) -> Iterator[Row]:
    return read_table(place, table, count=count_of(job["outcome"], table))


def _within(value: Any, name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _item(row: dict[str, Any]) -> Item:
    return Item(session_id=row["session_id"], kind=row["kind"], ref=row["ref"])


def _is_wanted(row: dict[str, Any], query: Query) -> bool:
    return (
        row["space"] == query.space
        and row["dimension"] == len(query.vector)
        and (not query.sessions or row["session_id"] in query.sessions)
        and _item(row) != query.item
    )


def _order(found: tuple[float, int, Item, int]) -> tuple[Any, ...]:
    similarity, _, item, _ = found
    return -similarity, item.session_id, item.kind, item.ref
