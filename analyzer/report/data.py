"""What the page shows, as JSON values: small numbers in long arrays, so that hours of boxes open in a second."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from analyzer.published import Published

Document = dict[str, Any]

# Boxes are whole numbers of this many parts of the picture's width and height: finer than a pixel of 8K.
PARTS = 10_000
# The end of the last frame and the length that a container claims differ by a frame or two.
UNSEEN_MIN_MS = 500
STEP_DEFAULT_MS = 500


def page_data(published: Published) -> Document:
    """Everything but the film.

    `tracks[].t` are times in milliseconds, the first from the start and each other one from the one before; `p` and `f` hold four
    numbers per time, left, top, width and height of person and face, -1 where there is none. `loose` is the same for what belongs to
    no track. Raises: KeyError, TypeError or ValueError, for a document that does not follow its schema.
    """
    document = published.document
    paths = _paths(document["detections"])
    missing: list[str] = []
    nowhere = _Path()
    tracks = [_track(each, paths.get(each["track"], nowhere), published, missing) for each in document["tracks"]]
    scenes = [_scene(each, published, missing) for each in document["scenes"]]
    strangers = paths.keys() - {None, *(each["n"] for each in tracks)}
    if strangers:
        message = f"detections name the track {strangers.pop()}, which is not in `tracks`"
        raise ValueError(message)
    duration_ms = _duration_ms(document, [*(each["end"] for each in scenes), *(each["last"] for each in tracks)])
    told = ("video", "models", "backend", "resources", "stored", "timings")
    return {
        **{name: str(document[name]) for name in ("session_id", "status", "attempt")},
        **{name: dict(document[name]) for name in told},
        "duration": duration_ms,
        "step": _step_ms(document["backend"]["sampling"], tracks),
        "width": int(document["video"]["width"]),
        "height": int(document["video"]["height"]),
        "coverage": _coverage(document, duration_ms),
        "tracks": tracks,
        "loose": paths.get(None, nowhere).columns(),
        "scenes": scenes,
        "detections": len(document["detections"]),
        "missing": missing,
    }


class _Path:
    """Where one human was: a person's and a face's box for each time."""

    def __init__(self) -> None:
        self._at: dict[tuple[int, int], dict[str, list[int]]] = {}

    def add(self, pts_ms: int, rank: int, label: str, box: list[int]) -> None:
        """Of two boxes that have the same time, `rank` and `label`, the later one counts."""
        self._at.setdefault((pts_ms, rank), {})[label] = box

    def columns(self) -> Document:
        times = sorted(self._at)
        before = [0, *(pts_ms for pts_ms, _ in times)]
        none = [-1, 0, 0, 0]
        return {
            "t": [pts_ms - earlier for (pts_ms, _), earlier in zip(times, before, strict=False)],
            "p": [value for time in times for value in self._at[time].get("person", none)],
            "f": [value for time in times for value in self._at[time].get("face", none)],
        }


def _paths(detections: Iterable[Mapping[str, Any]]) -> dict[int | None, _Path]:
    paths: dict[int | None, _Path] = {}
    for each in detections:
        box, track = each["box"], each["track"]
        parts = [round(PARTS * box[side]) for side in ("left", "top", "width", "height")]
        # Boxes of no track have nothing in common but their time.
        rank = 0 if track is not None else int(each["index"])
        paths.setdefault(track, _Path()).add(int(each["pts_ms"]), rank, str(each["label"]), parts)
    return paths


def _track(track: Mapping[str, Any], path: _Path, published: Published, missing: list[str]) -> Document:
    names = track["thumbnails"]
    age, gender, orientation = track["age"], track["gender"], track["orientation"]
    return {
        "n": int(track["track"]),
        "label": str(track["label"]),
        "first": int(track["first_ms"]),
        "last": int(track["last_ms"]),
        "sightings": int(track["sightings"]),
        "samples": int(track["attribute_samples"]),
        "age": {name: float(age[name]) for name in ("mean", "low", "high")} if age else None,
        "gender": {"value": str(gender["value"]), "confidence": float(gender["confidence"])} if gender else None,
        "degrees": float(orientation["degrees"]) if orientation else None,
        "thumbs": {kind: _picture(names[kind], published, missing) for kind in ("person", "face") if kind in names},
        **path.columns(),
    }


def _scene(scene: Mapping[str, Any], published: Published, missing: list[str]) -> Document:
    caption, name = scene["caption"], scene["thumbnail"]
    return {
        "n": int(scene["scene"]),
        "start": int(scene["start_ms"]),
        "end": int(scene["end_ms"]),
        "frame": int(scene["frame_ms"]),
        "caption": str(caption["text"]) if caption else None,
        "finished": bool(caption["finished"]) if caption else True,
        "thumb": _picture(name, published, missing) if name else None,
    }


def _picture(name: str, published: Published, missing: list[str]) -> str | None:
    content = published.thumbnail(name)
    if content is None:
        missing.append(name)
        return None
    return "data:image/jpeg;base64," + base64.b64encode(content).decode()


def _duration_ms(document: Mapping[str, Any], ends: Iterable[int]) -> int:
    coverage, video = document["coverage"], document["video"]
    told = [coverage["decoded_ms"], coverage["total_ms"] or 0, video["duration_ms"] or 0, *ends]
    return max(1, *map(int, told))


def _step_ms(sampling: Mapping[str, Any], tracks: Iterable[Document]) -> int:
    """How far apart the sampled times are."""
    if sampling["fps"]:
        return max(1, round(1000 / float(sampling["fps"])))
    gaps = [gap for each in tracks for gap in each["t"][1:]]
    return max(1, round(median(gaps))) if gaps else STEP_DEFAULT_MS


def _coverage(document: Mapping[str, Any], duration_ms: int) -> Document:
    """The told figures, and `parts`: stretches of the video of which something is to be said, with words."""
    coverage = document["coverage"]
    parts = [
        _part("skipped", each["start_ms"], duration_ms if each["end_ms"] is None else each["end_ms"], each["reason"])
        for each in coverage["skipped"]
    ]
    end_ms = int(coverage["decoded_ms"])
    if duration_ms - end_ms > UNSEEN_MIN_MS and not any(each["start"] <= end_ms < each["end"] for each in parts):
        parts.append(_part("unseen", end_ms, duration_ms, "nothing decodes here"))
    for each in document["segments"]:
        if each["errors"]:
            words = f"{int(each['errors'])} packets or frames did not decode"
            parts.append(_part("errors", each["start_ms"], each["end_ms"], words))
    told = ("decoded_ms", "total_ms", "frames", "sampled_frames", "errors", "first_error")
    return {**{name: coverage[name] for name in told}, "parts": sorted(parts, key=lambda part: int(part["start"]))}


def _part(kind: str, start_ms: int, end_ms: int, words: str) -> Document:
    return {"kind": kind, "start": int(start_ms), "end": int(end_ms), "words": str(words)}
