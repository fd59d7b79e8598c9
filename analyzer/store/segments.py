"""Segments as objects of a place: one compressed JSON object each, with the checkpoint inside, so that a commit is one write.

Objects carry the attempt in their names: what a zombie still writes never takes the place of what its successor wrote.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.contract import WORK_FOLDER, Table
from analyzer.errors import Mismatch
from analyzer.store.base import COLUMNS
from analyzer.store.place import Place
from analyzer.store.rows import Values, to_json

FOLDER = f"{WORK_FOLDER}/segments"
_NAME = re.compile(r"(\d{8})\.(\d{6})\.json\.gz")
# Boxes hardly shrink further, and the models wait meanwhile.
_LEVEL = 1


def put_segment(
    place: Place, segment: int, attempt: int, rows: Mapping[Table, Sequence[Values]], checkpoint: Mapping[str, Any]
) -> None:
    """Write one segment, in place of what the same attempt wrote of it."""
    document = to_json({"checkpoint": checkpoint, "rows": {str(table): entries for table, entries in rows.items()}})
    place.put(f"{FOLDER}/{segment:08d}.{attempt:06d}.json.gz", gzip.compress(document.encode(), _LEVEL, mtime=0))


def get_segment(place: Place, name: str) -> tuple[dict[Table, list[Values]], dict[str, Any]]:
    """The rows and the checkpoint of one segment. Raises: Mismatch, where it is gone or damaged."""
    content = place.get(f"{FOLDER}/{name}")
    try:
        document = json.loads(gzip.decompress(content or b""))
        checkpoint, rows = document["checkpoint"], document["rows"]
        return {table: list(rows[table]) for table in COLUMNS}, dict(checkpoint)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise Mismatch(
            "segment-unreadable",
            f"The stored segment `{place.url}/{FOLDER}/{name}` is {'damaged' if content else 'gone'}",
            hint=f"Delete `{place.url}/work/`, then the next attempt begins with the first segment",
        ) from error


def committed(place: Place, *, since_attempt: int) -> list[str]:
    """The names of the segments from 0 on without a gap, each as the newest attempt left it, none of an earlier one."""
    newest: dict[int, str] = {}
    for name in place.names(FOLDER):
        match = _NAME.fullmatch(name)
        if match and int(match[2]) >= since_attempt:
            # Names are sorted, and so are the attempts of one segment.
            newest[int(match[1])] = name
    whole: list[str] = []
    while len(whole) in newest:
        whole.append(newest[len(whole)])
    return whole


def holds_any(names: Sequence[str], attempt: int) -> bool:
    """Whether one of the segments was committed by that attempt."""
    return any((match := _NAME.fullmatch(name)) and int(match[2]) == attempt for name in names)


def remove_segments(place: Place, *, before_attempt: int | None = None) -> None:
    """Delete the segments of attempts before that one, or all of them."""
    for name in place.names(FOLDER):
        match = _NAME.fullmatch(name)
        if match and (before_attempt is None or int(match[2]) < before_attempt):
            place.delete(f"{FOLDER}/{name}")
