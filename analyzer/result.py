"""The result document: what was found, how much of the video was seen, and with which models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from analyzer.backends.base import Label
from analyzer.contract import RESULT_SCHEMA, Table
from analyzer.errors import Mismatch
from analyzer.pipeline.closing import scene_thumbnail_name
from analyzer.pipeline.humans import thumbnail_name
from analyzer.store.base import Row, Store

Document = dict[str, Any]

# What `Store.finish` is given and gives back.
_NOTED = (
    "status",
    "attempt",
    "video",
    "coverage",
    "notes",
    "models",
    "backend",
    "resources",
    "timings",
    "timeline",
    "rows",
)


def head(session_id: str, finished: Mapping[str, Any], store: Store) -> Document:
    """The document without its detections, which are too many to hold: `finished` as the store gave it, and what that has of the rest.

    Raises: Mismatch, where the store does not give back what it was given.
    """
    if lost := [name for name in _NOTED if name not in finished]:
        raise Mismatch(
            "outcome-damaged",
            f"What the store noted of the finished session `{session_id}` lacks `{lost[0]}`",
            hint="Delete what it stored of the session, then its next job does the work again",
        )
    return {
        "schema": RESULT_SCHEMA,
        "session_id": session_id,
        "status": finished["status"],
        "attempt": finished["attempt"],
        "video": finished["video"],
        "coverage": finished["coverage"],
        "notes": finished["notes"],
        "segments": [dict(row) for row in store.read(Table.SEGMENTS)],
        "tracks": [_track(row) for row in store.read(Table.TRACKS)],
        "scenes": [_scene(row) for row in store.read(Table.SCENES)],
        "models": finished["models"],
        "backend": finished["backend"],
        "resources": finished["resources"],
        "stored": {"store": store.name, "rows": finished["rows"]},
        "timings": finished["timings"],
        "timeline": finished["timeline"],
    }


def write(stream: IO[bytes], document: Document, detections: Iterator[Row]) -> None:
    """UTF-8, indented, with a final newline; one line per detection. Memory does not grow with their number."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    stream.write(text.removesuffix("\n}").encode() + b',\n "detections": [')
    separator = b"\n  "
    for row in detections:
        line = json.dumps(_detection(row), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        stream.write(separator + line.encode())
        separator = b",\n  "
    stream.write(b"]\n}\n")


def _track(row: Row) -> Document:
    kinds = [label for label in Label if row[f"{label}_thumbnail"]]
    return {
        "track": row["track"],
        "label": row["label"],
        "first_ms": row["first_ms"],
        "last_ms": row["last_ms"],
        "sightings": row["sightings"],
        "age": None
        if row["age_mean"] is None
        else {"mean": row["age_mean"], "low": row["age_low"], "high": row["age_high"]},
        "gender": None if row["gender"] is None else {"value": row["gender"], "confidence": row["gender_confidence"]},
        "attribute_samples": row["attribute_samples"],
        "orientation": None
        if row["orientation_deg"] is None
        else {"degrees": row["orientation_deg"], "confidence": row["orientation_confidence"]},
        "thumbnails": {str(label): thumbnail_name(row["track"], label) for label in kinds},
    }


def _scene(row: Row) -> Document:
    return {
        "scene": row["scene"],
        "start_ms": row["start_ms"],
        "end_ms": row["end_ms"],
        "frame_ms": row["frame_ms"],
        "caption": None if row["caption"] is None else {"text": row["caption"], "finished": row["caption_finished"]},
        "thumbnail": scene_thumbnail_name(row["scene"]),
    }


def _detection(row: Row) -> Document:
    return {
        "pts_ms": row["pts_ms"],
        "index": row["det"],
        "track": row["track"],
        "label": row["label"],
        "score": row["score"],
        "source": row["source"],
        "box": {side: row[f"box_{side}"] for side in ("left", "top", "width", "height")},
        "face_of": row["face_of"],
    }
