"""A result in the shape of Amazon Rekognition Video's GetPersonTracking, for readers that were written for it.

Source: the API's answer, of which People Pathing was discontinued on 31 October 2025.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]


def to_rekognition(document: Mapping[str, Any]) -> Document:
    """Every sighting of every track, by time and track; follows `schemas/rekognition-1.json`.

    Raises: KeyError, TypeError, ValueError, for a document that does not follow its schema.
    """
    estimates = {track["track"]: _estimates(track) for track in document["tracks"]}
    message = _unseen(document["coverage"]) if document["status"] == "partial" else None
    return {
        "JobId": document["session_id"],
        "JobStatus": "SUCCEEDED",
        **({"StatusMessage": message} if message else {}),
        "VideoMetadata": _video(document["video"]),
        "Persons": _persons(document["detections"], estimates),
    }


def _video(video: Mapping[str, Any]) -> Document:
    told = {
        "Codec": video["codec"],
        "DurationMillis": video["duration_ms"],
        "Format": video["container"],
        "FrameHeight": video["height"],
        "FrameRate": video["fps"],
        "FrameWidth": video["width"],
    }
    return {name: value for name, value in told.items() if value is not None}


def _unseen(coverage: Mapping[str, Any]) -> str:
    seen = f"{coverage['decoded_ms']} of {coverage['total_ms'] or 'an unknown number of'} ms were decoded"
    return f"{seen}, {coverage['errors']} packets or frames were not, {len(coverage['skipped'])} parts were skipped"


def _persons(detections: Iterable[Mapping[str, Any]], estimates: Mapping[int, Document]) -> list[Document]:
    seen: dict[tuple[int, int], Document] = {}
    for each in detections:
        if each["track"] is None:
            continue
        person = seen.setdefault((each["pts_ms"], each["track"]), {"Index": each["track"]})
        box = {side.capitalize(): each["box"][side] for side in ("left", "top", "width", "height")}
        if each["label"] == "person":
            person["BoundingBox"] = box
        else:
            person["Face"] = {"BoundingBox": box, **estimates[each["track"]]}
    return [{"Timestamp": pts_ms, "Person": person} for (pts_ms, _), person in sorted(seen.items(), key=_by_time)]


def _by_time(entry: tuple[tuple[int, int], Document]) -> tuple[int, int]:
    return entry[0]


def _estimates(track: Mapping[str, Any]) -> Document:
    age, gender = track["age"], track["gender"]
    found: Document = {}
    if age is not None:
        found["AgeRange"] = {"Low": max(0, math.floor(age["low"])), "High": max(0, math.ceil(age["high"]))}
    if gender is not None:
        found["Gender"] = {"Value": gender["value"].capitalize(), "Confidence": round(100 * gender["confidence"], 3)}
    return found
