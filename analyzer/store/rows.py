"""The rows of one session, the same for every store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.contract import Table
from analyzer.pipeline import Analysis

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRows:
    """All rows that one session owns; storing them replaces what the session had."""

    session_id: str
    tables: Mapping[Table, list[Row]]

    @property
    def counts(self) -> dict[str, int]:
        return {str(table): len(rows) for table, rows in self.tables.items()}


def rows_of(document: Mapping[str, Any], analysis: Analysis, *, video_url: str) -> SessionRows:
    """Flatten a result document (without `stored` and `timings`) and the embeddings into rows."""
    session_id = document["session_id"]
    coverage, models = document["coverage"], document["models"]
    digests = {file["path"]: file["sha256"] for file in models["files"]}
    attributes = document["backend"]["attributes"]
    job = {
        "session_id": session_id,
        "status": document["status"],
        "video_url": video_url,
        "decoded_ms": coverage["decoded_ms"],
        "total_ms": coverage["total_ms"],
        "decode_errors": coverage["errors"],
        "model_set": models["digest"],
        "video": document["video"],
        "backend": document["backend"],
        "models": models,
    }
    tracks = [
        {
            "session_id": session_id,
            "track": track["track"],
            "label": track["label"],
            "first_ms": track["first_ms"],
            "last_ms": track["last_ms"],
            "sightings": track["sightings"],
            "age_mean": _of(track["age"], "mean"),
            "age_low": _of(track["age"], "low"),
            "age_high": _of(track["age"], "high"),
            "gender": _of(track["gender"], "value"),
            "gender_confidence": _of(track["gender"], "confidence"),
            "attribute_samples": track["attribute_samples"],
            # The digest of the weights stands in each row that they produced.
            "age_model": digests.get(_of(attributes.get("age"), "path") if track["age"] else None),
            "gender_model": digests.get(_of(attributes.get("gender"), "path") if track["gender"] else None),
        }
        for track in document["tracks"]
    ]
    detections = [
        {
            "session_id": session_id,
            "pts_ms": each["pts_ms"],
            "det": each["index"],
            "track": each["track"],
            "label": each["label"],
            "score": each["score"],
            "source": each["source"],
            "box_left": each["box"]["left"],
            "box_top": each["box"]["top"],
            "box_width": each["box"]["width"],
            "box_height": each["box"]["height"],
            "face_of": each["face_of"],
        }
        for each in document["detections"]
    ]
    embeddings = [
        {
            "session_id": session_id,
            "space": document["backend"]["embedding"]["space"],
            "track": track.number,
            "kind": str(track.embedding_kind),
            "pts_ms": track.embedding_pts_ms,
            "dimension": len(track.embedding),
            "v": [round(float(value), 6) for value in track.embedding],
        }
        for track in analysis.tracks
        if track.embedding is not None
    ]
    return SessionRows(
        session_id=session_id,
        tables={
            Table.JOBS: [job],
            Table.TRACKS: tracks,
            Table.DETECTIONS: detections,
            Table.EMBEDDINGS: embeddings,
        },
    )


def _of(mapping: Mapping[str, Any] | None, key: str) -> Any:
    return mapping[key] if mapping else None
