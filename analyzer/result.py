"""The result document: what was found, how much of the video was seen, and with which models."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analyzer.backends.base import AttributeModel, Detector, Embedder
from analyzer.contract import RESULT_SCHEMA, THUMBNAIL_FOLDER
from analyzer.manifest import ModelSet, describe
from analyzer.pipeline import Analysis, FoundDetection, FoundTrack
from analyzer.video import VideoInfo

Document = dict[str, Any]


def thumbnail_name(track: FoundTrack, kind: str) -> str:
    """Path below the result's folder."""
    return f"{THUMBNAIL_FOLDER}/track-{track.number:04d}-{kind}.jpg"


def build(
    *,
    session_id: str,
    info: VideoInfo,
    analysis: Analysis,
    model_set: ModelSet,
    detector: Detector,
    attributes: AttributeModel | None,
    embedder: Embedder,
    sample_fps: float,
) -> Document:
    """The document without `stored`, `timings` and `timeline`; the same video and models give the same document."""
    coverage = analysis.coverage
    return {
        "schema": RESULT_SCHEMA,
        "session_id": session_id,
        "status": "succeeded" if coverage.complete else "partial",
        "attempt": 1,
        "video": {**asdict(info), "variable_rate": False},
        "coverage": {
            "decoded_ms": coverage.decoded_ms,
            "total_ms": coverage.total_ms,
            "frames": coverage.frames,
            "sampled_frames": analysis.sampled_frames,
            "errors": coverage.errors,
            "first_error": coverage.first_error or None,
            "skipped": [],
        },
        "segments": [],
        "tracks": [_track(track) for track in analysis.tracks],
        "scenes": [],
        "models": describe(model_set),
        "backend": {
            "detector": dict(detector.description),
            "attributes": dict(attributes.description) if attributes else {"name": "none"},
            "orientation": {"name": "none"},
            "captioner": {"name": "none"},
            "embedding": dict(embedder.description),
            "sampling": {"mode": "fps", "fps": sample_fps},
        },
        "resources": {"gpu_memory_peak_bytes": None, "memory_peak_bytes": 0, "cpu_ms": 0},
        "detections": [_detection(each, info) for each in analysis.detections],
    }


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path` and rename, so that a reader sees the old file or the whole new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def to_json(document: Document) -> bytes:
    """UTF-8, indented, with a final newline; keys stay in the order in which a reader wants them."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _track(track: FoundTrack) -> Document:
    found = track.attributes
    return {
        "track": track.number,
        "label": str(track.label),
        "first_ms": track.sightings[0].pts_ms,
        "last_ms": track.sightings[-1].pts_ms,
        "sightings": len(track.sightings),
        "age": {"mean": found.age_mean, "low": found.age_low, "high": found.age_high} if found else None,
        "gender": {"value": found.gender, "confidence": found.gender_confidence} if found else None,
        "attribute_samples": found.samples if found else 0,
        "orientation": None,
        "thumbnails": {str(kind): thumbnail_name(track, kind) for kind in sorted(track.thumbnails)},
    }


def _detection(found: FoundDetection, info: VideoInfo) -> Document:
    return {
        "pts_ms": found.pts_ms,
        "index": found.index,
        "track": found.track,
        "label": str(found.detection.label),
        "score": found.detection.score,
        "source": found.detection.source,
        "box": found.detection.box.ratios(info.width, info.height),
        "face_of": found.face_of,
    }
