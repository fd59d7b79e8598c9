"""Rows as every store keeps them: checked, plain values, in the order of the columns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence, Set
from operator import index
from typing import TYPE_CHECKING, Any

from analyzer.contract import Table
from analyzer.errors import RowsInvalid
from analyzer.store.base import COLUMNS, KEYS, Row, SegmentRows

if TYPE_CHECKING:
    from pgvector import HalfVector

Values = tuple[Any, ...]

# The PostgreSQL type of each column, which has the same name and the same type in every table.
TYPES: Mapping[str, str] = {
    **dict.fromkeys(("start_ms", "end_ms", "first_ms", "last_ms", "frame_ms", "pts_ms", "ref"), "int8"),
    **dict.fromkeys(("frames", "sampled_frames", "errors"), "int8"),
    **dict.fromkeys(("segment", "track", "scene", "det", "face_of", "dimension"), "int4"),
    **dict.fromkeys(("sightings", "attribute_samples"), "int4"),
    **dict.fromkeys(("age_mean", "age_low", "age_high", "gender_confidence", "score"), "float8"),
    **dict.fromkeys(("orientation_deg", "orientation_confidence"), "float8"),
    **dict.fromkeys(("box_left", "box_top", "box_width", "box_height"), "float8"),
    **dict.fromkeys(
        ("state", "label", "gender", "caption", "source", "space", "kind", "age_model", "gender_model"), "text"
    ),
    "caption_finished": "bool",
    "face_thumbnail": "bool",
    "person_thumbnail": "bool",
    "v": "halfvec",
}
# The columns of a finished job's line, and what each is in JSON.
JOB_COLUMNS: Mapping[str, type] = {
    **dict.fromkeys(("session_id", "state"), str),
    "attempt": int,
    **dict.fromkeys(("fingerprint", "video_url"), str),
    **dict.fromkeys(("request", "outcome"), dict),
}
_FILE_COLUMNS = {table: {"session_id", *columns} for table, columns in COLUMNS.items()}
# What a value of a type is once JSON was read; a truth value is no number there.
_KINDS: Mapping[str, Set[type]] = {
    "int4": {int},
    "int8": {int},
    "float8": {int, float},
    "text": {str},
    "bool": {bool},
    "halfvec": {list},
}
# What a row may leave open.
_OPTIONAL = {
    *((Table.TRACKS, column) for column in ("age_mean", "age_low", "age_high", "gender", "gender_confidence")),
    *((Table.TRACKS, column) for column in ("orientation_deg", "orientation_confidence", "age_model", "gender_model")),
    *((Table.SCENES, column) for column in ("frame_ms", "caption", "caption_finished")),
    *((Table.DETECTIONS, column) for column in ("track", "face_of")),
}


def canonical(rows: SegmentRows) -> dict[Table, list[Values]]:
    """The rows of a segment as tuples in the order of `COLUMNS`; vectors are float16 arrays.

    Raises: RowsInvalid, for another column, segment or kind of value, for NaN and infinity, or for two rows of one key.
    """
    if unknown := set(rows.rows) - set(COLUMNS):
        raise RowsInvalid("rows-invalid", f"Segments hold no rows of `{sorted(unknown)[0]}`")
    return {table: _canonical(table, rows.rows.get(table, ()), rows.segment) for table in COLUMNS}


def as_row(table: Table, values: Sequence[Any]) -> Row:
    return dict(zip(COLUMNS[table], values, strict=True))


def key_of(table: Table) -> Callable[[Sequence[Any]], Values]:
    """A function from a row's values to its key."""
    places = [COLUMNS[table].index(column) for column in KEYS[table]]
    return lambda values: tuple(values[place] for place in places)


def row_of_json(table: Table, line: bytes) -> Row:
    """A line of the table's file, `session_id` included. Raises: ValueError, for what no store wrote there."""
    row = _object(line, _FILE_COLUMNS[table])
    for column, value in row.items():
        if type(value) not in _KINDS[TYPES.get(column, "text")] and not (
            value is None and (table, column) in _OPTIONAL
        ):
            message = f"`{column}` is {type(value).__name__}"
            raise ValueError(message)
    if table is Table.EMBEDDINGS and (
        len(row["v"]) != row["dimension"] or not {*map(type, row["v"])} <= _KINDS["float8"]
    ):
        message = "`v` is not as many numbers as `dimension` says"
        raise ValueError(message)
    return row


def job_of_json(line: bytes) -> Row:
    """The line of `analysis_jobs.jsonl`. Raises: ValueError, for what no store wrote there."""
    row = _object(line, JOB_COLUMNS.keys())
    for column, kind in JOB_COLUMNS.items():
        if type(row[column]) is not kind:
            message = f"`{column}` is {type(row[column]).__name__}"
            raise ValueError(message)
    return row


def to_json(value: Any) -> str:
    """Compact JSON that UTF-8 can hold. Raises: RowsInvalid, for what JSON has no word for, such as NaN."""
    try:
        text = _ENCODE(value)
        text.encode()
        return text
    except (TypeError, ValueError) as error:
        raise RowsInvalid("rows-invalid", f"A value is not JSON: {error}") from error


def _object(line: bytes, columns: Set[str]) -> Row:
    try:
        row = _DECODE(line.decode())
    except RecursionError as error:
        message = "nested too deeply"
        raise ValueError(message) from error
    if not isinstance(row, dict) or row.keys() != columns:
        message = "it has other columns"
        raise ValueError(message)
    return row


def _no_number(text: str) -> None:
    message = f"{text} is no JSON"
    raise ValueError(message)


def _canonical(table: Table, rows: Sequence[Row], segment: int) -> list[Values]:
    columns = COLUMNS[table]
    names = set(columns)
    for row in rows:
        if row.keys() != names:
            odd = sorted(names ^ row.keys())[0]
            raise RowsInvalid("rows-invalid", f"A row of `{table}` lacks the column `{odd}` or has it too much")
        if row["segment"] != segment:
            raise RowsInvalid(
                "rows-invalid", f"A row of `{table}` is of segment {row['segment']}, but comes with segment {segment}"
            )
    by_column = [_column(table, column, [row[column] for row in rows]) for column in columns]
    values = list(zip(*by_column, strict=True))
    if table is Table.EMBEDDINGS and any(len(row["v"]) != row["dimension"] for row in rows):
        raise RowsInvalid("rows-invalid", f"A vector in segment {segment} is not as long as its row says")
    key = key_of(table)
    if len({key(each) for each in values}) != len(values):
        raise RowsInvalid("rows-invalid", f"Two rows of `{table}` in segment {segment} have the same key")
    return values


def _column(table: Table, column: str, values: list[Any]) -> list[Any]:
    read, optional = _READERS[TYPES[column]], (table, column) in _OPTIONAL
    try:
        return [None if optional and value is None else read(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise RowsInvalid("rows-invalid", f"`{column}` of a row of `{table}` cannot be stored: {error}") from error


def _whole(value: Any) -> int:
    number = index(value)
    if not -(2**63) <= number < 2**63:
        message = f"{number} is too large"
        raise ValueError(message)
    return number


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        message = f"{number} is not a finite number"
        raise ValueError(message)
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        message = f"{value!r} is not text, or holds a NUL"
        raise ValueError(message)
    # Half a surrogate, as undecodable bytes become, is no text that could be stored.
    value.encode()
    # A member of an enumeration becomes the plain string that it stands for.
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        message = f"{value!r} is neither true nor false"
        raise TypeError(message)
    return value


def _halves(value: Any) -> Any:
    """What half precision keeps of each number, so that every store gives the same back."""
    import numpy as np

    with np.errstate(over="ignore"):
        halves = np.asarray(value, np.float16)
    if halves.ndim != 1 or not halves.size or not np.isfinite(halves).all():
        message = "a vector has one dimension and finite numbers up to 65504"
        raise ValueError(message)
    return halves


def halves_of(vector: HalfVector) -> list[float]:
    """What a vector that comes back from PostgreSQL was before."""
    return _decimals(vector.to_numpy())


def _decimals(halves: Any) -> list[float]:
    # Five digits tell all numbers of 11 bits apart, and make JSON half as long as the exact ones.
    return [float(f"{each:.5g}") for each in halves.tolist()]


def _plain(value: Any) -> list[float]:
    """What JSON has no word for, but `canonical` makes: a vector."""
    if getattr(value, "dtype", None) != "float16":
        message = f"{type(value).__name__} is not JSON"
        raise TypeError(message)
    return _decimals(value)


# Made once: they are used for every row.
_DECODE = json.JSONDecoder(parse_constant=_no_number).decode
_ENCODE = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain).encode

_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int4": _whole,
    "int8": _whole,
    "float8": _finite,
    "text": _text,
    "bool": _truth,
    "halfvec": _halves,
}
