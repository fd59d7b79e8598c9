"""People on real footage: the analyzer without weights beside the HOG loop of most tutorials.

The thresholds of `analyzer/backends/opencv.py` were chosen on the same marks, so these figures say how well they fit 29 seconds of one
clip, and not how well they do elsewhere. Figures of either half show how much they hang on the seconds that are looked at.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from analyzer.backends.base import Pixels
from analyzer.backends.opencv import OpenCvDetector
from analyzer.geometry import Box
from analyzer.scene import CutDetector
from analyzer.track import Tracker, pair_faces
from analyzer.track.assign import assign
from tests.bench.figures import Figure
from tests.bench.footage import ClipMissing, sampled_pictures, walkers_clip
from tests.bench.identities import Agreement, Tracked, agreement, read_marks

MARKS = Path(__file__).with_name("walkers.json")
FPS = 5
SIDE_PX = 640
# Marks are in pixels of the clip, 768x576.
MARK_SIDE_PX = 768
PRECISION_BOUND = 0.9
SHOT_PICTURES = 12
CUT_CLIP_MS = 79_000
# What the plain loop calls the same person: the box of the frame before, by as much.
PLAIN_IOU_MIN = 0.3


def walkers_figures() -> list[Figure]:
    """Both sides see the same pictures, one after the other; the seconds that are marked by hand."""
    try:
        return list(_figures(walkers_clip()))
    except ClipMissing as error:
        return [Figure(name="people on real footage", measured=f"no clip: {error}")]


def _figures(clip: Path) -> Iterator[Figure]:
    marks = read_marks(MARKS)
    until_ms = marks[-1].pts_ms
    ours, plain = _Ours(), _Plain()
    for pts_ms, picture in sampled_pictures(clip, fps=FPS, side_px=SIDE_PX, until_ms=until_ms):
        for side in (ours, plain):
            started = time.perf_counter()
            side.see(pts_ms, picture)
            side.seconds.append(time.perf_counter() - started)
    tracked, plainly = ours.tracked(), plain.tracked
    found, loop = (agreement(marks, _in_clip(side)) for side in (tracked, plainly))
    yield Figure(
        name=f"walkers at {FPS} fps: true people per picture, analyzer / HOG loop",
        measured=f"{found.found / len(marks):.2f} / {loop.found / len(marks):.2f} of {found.people / len(marks):.2f}",
        bound=">= the loop",
        met=found.found >= loop.found,
    )
    yield Figure(
        name="walkers: share of boxes that are people",
        measured=f"{found.precision:.2f} / {loop.precision:.2f}",
        bound=f">= {PRECISION_BOUND}",
        met=found.precision >= PRECISION_BOUND,
    )
    yield Figure(
        name="walkers: people and share in the first / second half of the seconds, on which the thresholds were chosen",
        measured=" / ".join(
            f"{half.found / len(part):.2f} of {half.people / len(part):.2f}, {half.precision:.2f}"
            for part in (marks[: len(marks) // 2], marks[len(marks) // 2 :])
            for half in [agreement(part, _in_clip(tracked))]
        ),
    )
    yield Figure(
        name="walkers: boxes per sampled picture",
        measured=f"{_mean_count(tracked):.2f} / {_mean_count(plainly):.2f}",
    )
    yield Figure(
        name="walkers: tracks, and changes of track per human found",
        measured=f"{_count(tracked)} / {_count(plainly)} tracks; {_changes(found)} / {_changes(loop)}",
        bound="changes: fewer per human found than the loop",
        met=found.switches * max(1, loop.found) <= loop.switches * max(1, found.found),
    )
    yield Figure(
        name="walkers: time per picture",
        measured=f"{median(ours.seconds) * 1e3:.0f} ms, with faces / {median(plain.seconds) * 1e3:.0f} ms",
    )
    yield _cut_figure(clip)


def _cut_figure(clip: Path) -> Figure:
    """The four quarters of the clip, some seconds of each in turn, as four cameras would show the place."""
    pictures = [picture for _, picture in sampled_pictures(clip, fps=FPS, side_px=SIDE_PX, until_ms=CUT_CLIP_MS)]
    height, width = (side // 2 for side in pictures[0].shape[:2])
    corners = [(0, 0), (height, 0), (0, width), (height, width)]
    detector, told, seconds = CutDetector(), set(), []
    for number, picture in enumerate(pictures):
        top, left = corners[number // SHOT_PICTURES % len(corners)]
        shot = picture[top : top + height, left : left + width]
        started = time.perf_counter()
        if detector.add(shot):
            told.add(number)
        seconds.append(time.perf_counter() - started)
    cuts = set(range(SHOT_PICTURES, len(pictures), SHOT_PICTURES))
    return Figure(
        name="scene cuts between the quarters of the same clip",
        measured=f"{len(told & cuts)} of {len(cuts)}, {len(told - cuts)} wrong in {len(pictures)} pictures, "
        f"{median(seconds) * 1e3:.2f} ms each",
        bound="none wrong, 9 of 10 found",
        met=not told - cuts and len(told & cuts) >= 0.9 * len(cuts),
    )


class _Ours:
    """Detector and tracker as the analyzer uses them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._detector = OpenCvDetector()
        self._tracker = Tracker(self._detector.confidence)
        self._owned: dict[int, list[tuple[int, Box]]] = {}

    def see(self, pts_ms: int, picture: Pixels) -> None:
        (detections,) = self._detector.detect([picture])
        sightings = pair_faces(pts_ms, detections)
        owners = self._tracker.add(pts_ms, sightings)
        self._owned[pts_ms] = [
            (track.key, each.person_box)
            for each, track in zip(sightings, owners, strict=True)
            if track and each.person_box
        ]

    def tracked(self) -> dict[int, Tracked]:
        """Boxes of confirmed tracks; to be asked once, at the end."""
        number_of = {track.key: track.number for track in self._tracker.close()}
        return {
            pts_ms: [(number, box) for key, box in owned if (number := number_of[key]) is not None]
            for pts_ms, owned in self._owned.items()
        }


class _Plain:
    """`detectMultiScale` with the defaults of OpenCV, and each box linked to the one of the frame before that overlaps it most."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.tracked: dict[int, Tracked] = {}
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        self._before: Tracked = ()
        self._count = 0

    def see(self, pts_ms: int, picture: Pixels) -> None:
        windows, _ = self._hog.detectMultiScale(picture)
        boxes = [_trim(Box(*map(float, window))) for window in windows]
        costs = np.array([[1 - before.iou(box) for box in boxes] for _, before in self._before])
        pairs = assign(costs.reshape(len(self._before), len(boxes)), limit=1 - PLAIN_IOU_MIN)
        linked = {column: self._before[row][0] for row, column in pairs}
        self.tracked[pts_ms] = self._before = [(linked.get(at) or self._next(), box) for at, box in enumerate(boxes)]

    def _next(self) -> int:
        self._count += 1
        return self._count


def _trim(window: Box) -> Box:
    """Without the margin around the person, as the analyzer does it: a raw window would match hardly anybody."""
    return Box(
        window.left + 0.1 * window.width, window.top + 0.07 * window.height, 0.8 * window.width, 0.8 * window.height
    )


def _in_clip(tracked: Mapping[int, Tracked]) -> dict[int, Tracked]:
    ratio = MARK_SIDE_PX / SIDE_PX
    return {pts_ms: [(track, box.scale(ratio)) for track, box in boxes] for pts_ms, boxes in tracked.items()}


def _mean_count(tracked: Mapping[int, Tracked]) -> float:
    return sum(map(len, tracked.values())) / len(tracked)


def _count(tracked: Mapping[int, Tracked]) -> int:
    return len({track for boxes in tracked.values() for track, _ in boxes})


def _changes(found: Agreement) -> str:
    return f"{found.switches} in {found.found}"
