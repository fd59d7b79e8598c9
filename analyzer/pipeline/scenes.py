"""Scenes: from one cut to the next, each with the picture that shows it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2

from analyzer.backends.base import Pixels
from analyzer.crops import sharpness
from analyzer.geometry import Box
from analyzer.pipeline.feed import Seen

# A camera that never cuts is still told of this often.
SCENE_MAX_MS = 120_000
# Pictures are compared this often; neighbours show the same.
LOOK_EVERY_MS = 1000
PICTURE_SIDE_PX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A scene that begins in a segment, and its best picture there, at `frame_ms`."""

    scene: int
    frame_ms: int
    picture: Pixels = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A scene from its first frame to the first of the next."""

    scene: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentScenes:
    """What one segment says of scenes; `snapshot` is the state from which the next goes on, in JSON values."""

    opened: Sequence[Opening]
    closed: Sequence[Span]
    snapshot: Mapping[str, Any]


class Scenes:
    """Takes frames in the order of their times. Numbers count from 1.

    The picture of a scene comes from the segment in which it begins, so that no picture has to outlive a segment.
    """

    def __init__(self, snapshot: Mapping[str, Any] | None = None) -> None:
        self._number: int = snapshot["scene"] if snapshot else 0
        self._start_ms: int = snapshot["start_ms"] if snapshot else 0
        self._is_open = bool(snapshot and snapshot["is_open"])
        self._best: dict[int, tuple[float, Opening]] = {}
        self._closed: list[Span] = []
        self._looked_ms = 0
        self._last_ms = 0

    def add(self, seen: Seen) -> None:
        pts_ms = seen.frame.pts_ms
        self._last_ms = pts_ms
        if not self._is_open or seen.is_cut or pts_ms - self._start_ms >= SCENE_MAX_MS:
            self._close(pts_ms)
            self._number, self._start_ms, self._is_open = self._number + 1, pts_ms, True
            self._best[self._number] = self._look(seen, pts_ms)
        elif self._number in self._best and pts_ms - self._looked_ms >= LOOK_EVERY_MS:
            found = self._look(seen, pts_ms, better_than=self._best[self._number])
            self._best[self._number] = found

    def end_segment(self, *, last_ms: int | None) -> SegmentScenes:
        """What is known by now; `last_ms` is the end of the video after its last segment, None before."""
        if last_ms is not None:
            self._close(max(last_ms, self._last_ms))
        best, self._best = self._best, {}
        closed, self._closed = self._closed, []
        return SegmentScenes(
            opened=[opening for _, opening in best.values()],
            closed=closed,
            snapshot={"scene": self._number, "start_ms": self._start_ms, "is_open": self._is_open},
        )

    def _close(self, end_ms: int) -> None:
        if self._is_open:
            self._closed.append(Span(scene=self._number, start_ms=self._start_ms, end_ms=end_ms))
            self._is_open = False

    def _look(
        self, seen: Seen, pts_ms: int, *, better_than: tuple[float, Opening] | None = None
    ) -> tuple[float, Opening]:
        self._looked_ms = pts_ms
        quality = sharpness(cv2.cvtColor(seen.picture, cv2.COLOR_BGR2GRAY))
        if better_than and quality <= better_than[0]:
            return better_than
        whole = Box(0, 0, seen.frame.width, seen.frame.height)
        picture = seen.frame.cut(whole, PICTURE_SIDE_PX)
        return quality, Opening(
            scene=self._number, frame_ms=pts_ms, picture=seen.picture.copy() if picture is None else picture
        )
