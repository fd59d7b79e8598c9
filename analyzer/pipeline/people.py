"""Who is seen where: detections to tracks, and the best crops of each human, segment by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer.backends.base import Confidence, Detection, Label
from analyzer.crops import SAMPLES_MAX, SAMPLES_PER_SEGMENT, CropKeeper
from analyzer.geometry import Box
from analyzer.pipeline.feed import Seen
from analyzer.store.base import Row
from analyzer.track.associate import Sighting, pair_faces
from analyzer.track.tracker import Track, Tracker

# A crowd that passes within one segment would fill the memory: the crops of so many tracks that have ended are given out before its end.
GONE_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """What the models are to be asked about, by the key of a confirmed track, and these tracks' numbers."""

    kept: Mapping[int, CropKeeper]
    numbers: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPeople:
    """What one segment says of people: rows of detections whose track is known, tracks that ended in it, and the crops still kept.

    `snapshot` is the state from which the next segment goes on, in JSON values.
    """

    detections: Sequence[Row]
    ended: Sequence[Track]
    crops: Crops
    snapshot: Mapping[str, Any]


class People:
    """Takes frames in the order of their times; memory grows with the people in view, not with the video."""

    def __init__(self, confidence: Confidence, snapshot: Mapping[str, Any] | None = None) -> None:
        self._confidence = confidence
        self._tracker = Tracker.restore(confidence, snapshot["tracker"]) if snapshot else Tracker(confidence)
        # Rows of tracks that were seen once only: whether that is a human shows at the next sighting, or when there is none.
        self._tentative: dict[int, list[Row]] = {}
        for key, row in snapshot["tentative"] if snapshot else ():
            self._tentative.setdefault(key, []).append(dict(row))
        self._rows: list[Row] = []
        self._ended: list[Track] = []
        self._crops: dict[int, CropKeeper] = {}
        self._gone: dict[int, CropKeeper] = {}
        # How many crops of each confirmed track that goes on the models were asked about.
        self._asked: dict[int, int] = dict(snapshot["asked"]) if snapshot else {}
        self._numbers: dict[int, int] = {}

    def add(self, seen: Seen) -> None:
        """One frame: gives every detection its track, and keeps the crops that are worth it."""
        frame = seen.frame
        sightings = pair_faces(frame.pts_ms, seen.detections)
        tracks = self._tracker.add(frame.pts_ms, sightings, cut=seen.is_cut)
        owners: dict[int, tuple[Sighting, Track | None]] = {}
        for sighting, track in zip(sightings, tracks, strict=True):
            for index in (sighting.person, sighting.face):
                if index is not None:
                    owners[index] = sighting, track
            if track is not None:
                self._keep(seen, sighting, track)
        for index, detection in enumerate(seen.detections):
            sighting, track = owners[index]
            row = _row(seen, index, detection, sighting)
            if track is None:
                # What the detector hardly trusts itself, and no track goes on with, is the background.
                if detection.label is Label.FACE or detection.score >= self._confidence.high:
                    self._rows.append(row)
            else:
                self._tentative.setdefault(track.key, []).append(row)
        self._settle(tracks)

    def take_gone(self) -> Crops | None:
        """The crops of tracks that have ended, once there are many.

        To be called after each frame, so that every attempt is given the same together.
        """
        if len(self._gone) < GONE_MAX:
            return None
        gone, self._gone = self._gone, {}
        return Crops(kept=gone, numbers={key: self._numbers[key] for key in gone})

    def end_segment(self, *, is_last: bool) -> SegmentPeople:
        """Everything that is known by now; after the last segment nothing is left open."""
        if is_last:
            self._end(self._tracker.close())
        rows, self._rows = self._rows, []
        ended, self._ended = self._ended, []
        numbers, self._numbers = self._numbers, {}
        going_on = {key: keeper for key, keeper in self._crops.items() if key in numbers}
        for key, keeper in going_on.items():
            self._asked[key] = self._asked.get(key, 0) + len(keeper.best_first)
        crops = {**self._gone, **going_on}
        self._crops, self._gone = {}, {}
        rows.sort(key=lambda row: (row["pts_ms"], row["det"]))
        tentative = [[key, row] for key, rows in self._tentative.items() for row in rows]
        return SegmentPeople(
            detections=rows,
            ended=ended,
            crops=Crops(kept=crops, numbers={key: numbers[key] for key in crops}),
            snapshot={"tracker": self._tracker.snapshot(), "tentative": tentative, "asked": [*self._asked.items()]},
        )

    def _keep(self, seen: Seen, sighting: Sighting, track: Track) -> None:
        boxes = {label: [each.box for each in seen.detections if each.label is label] for label in Label}
        others = [box for box in boxes[Label.PERSON] if box != sighting.person_box]
        keeper = self._crops.get(track.key)
        if keeper is None:
            left = SAMPLES_MAX - self._asked.get(track.key, 0)
            keeper = self._crops[track.key] = CropKeeper(max(SAMPLES_PER_SEGMENT, left))
        keeper.offer(
            seen.frame, face=sighting.face_box, body=sighting.person_box, others=others, faces=boxes[Label.FACE]
        )

    def _settle(self, tracks: Sequence[Track | None]) -> None:
        for track in tracks:
            if track is not None and track.number is not None:
                self._numbers[track.key] = track.number
                self._resolve(track.key, track.number)
        self._end(self._tracker.ended())

    def _end(self, tracks: Sequence[Track]) -> None:
        for track in tracks:
            self._resolve(track.key, track.number)
            keeper = self._crops.pop(track.key, None)
            self._asked.pop(track.key, None)
            if track.number is not None:
                self._numbers[track.key] = track.number
                self._ended.append(track)
                if keeper is not None:
                    self._gone[track.key] = keeper

    def _resolve(self, key: int, number: int | None) -> None:
        self._rows += [{**row, "track": number} for row in self._tentative.pop(key, ())]


def _row(seen: Seen, index: int, detection: Detection, sighting: Sighting) -> Row:
    box = _ratios(detection.box, seen)
    return {
        "pts_ms": seen.frame.pts_ms,
        "det": index,
        "track": None,
        "label": str(detection.label),
        "score": detection.score,
        "source": detection.source,
        "box_left": box["left"],
        "box_top": box["top"],
        "box_width": box["width"],
        "box_height": box["height"],
        "face_of": sighting.person if detection.label is Label.FACE else None,
    }


def _ratios(box: Box, seen: Seen) -> dict[str, float]:
    return box.ratios(seen.frame.width, seen.frame.height)
