"""People by HOG and faces by a Haar cascade: both ship inside OpenCV, so no weights are needed.

The HOG network was trained on whole pedestrians. A portrait shows head and shoulders only, so besides scanning the
picture, the same classifier is asked about the place where the body below each found face would be.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from analyzer.backends.base import Confidence, Detection, Label, Pixels
from analyzer.errors import Mismatch
from analyzer.geometry import Box

FACE_CASCADE = "haarcascade_frontalface_alt2.xml"
# Longest side of the picture that the detectors see; larger ones are reduced first.
WORK_SIDE_PX = 640
FACE_SIDE_MIN_PX = 24
# Of 69 portraits (0.25 to 0.92 scale, three backgrounds) these find 66, steps of 1.1 with four neighbours 68 in half as long again.
FACE_STEP = 1.15
FACE_NEIGHBOURS_MIN = 3
# The classifier's window holds a person of 96 pixels; enlarged so much, the picture shows it people of 55. Coarse steps between sizes
# pay for the larger picture, because every window counts by itself: grouping would demand that people are found at two of them.
SCAN_ENLARGEMENT = 1.75
SCAN_STEP = 1.3
# Margins from the SVM plane. A free scan looks at thousands of windows. On the marked footage (`tests/bench/walkers.json`) most from 0.0 to
# 0.5 were nobody, unless somebody had been there in the frame before, and of those from 1.0 on 1 in 129. Behind portraits some reach 1.4
# and stay; from 1.5 on nearly everybody is still seen in some frame.
SCAN_MARGIN_MIN = 0.0
SCAN_MARGIN_GOOD = 0.7
SCAN_MARGIN_NEW = 1.5
# At a face, margin 0 confirmed 77 of 81 portraits (0.25 to 0.94 scale, three backgrounds) and 10 of 220 random places.
AT_FACE_MARGIN_MIN = 0.0
# Face heights, in pixels of the 64x128 HOG window, at which a person below the face is looked for.
AT_FACE_HEIGHTS_PX = (16, 17, 18, 19, 20, 21, 22)
OVERLAP_SAME = 0.5
# Windows that see the same person from a few pixels off: their mean lies closer than the best of them.
IOU_SAME = 0.5
# How much a window at the plane counts in that mean.
_WEIGHT_MIN = 0.02
_WINDOW = (64, 128)
_GREY = (128, 128, 128)


class OpenCvDetector:
    """HOG person detector and Haar face detector on the CPU, as many pictures at a time as there are cores.

    Raises: Mismatch, when this OpenCV does not have both.
    """

    side_px = WORK_SIDE_PX
    confidence = Confidence(high=SCAN_MARGIN_GOOD, low=SCAN_MARGIN_MIN, new=SCAN_MARGIN_NEW)

    def __init__(self) -> None:
        if not hasattr(cv2, "HOGDescriptor") or not hasattr(cv2, "CascadeClassifier"):
            raise Mismatch(
                "opencv-unsuitable",
                f"OpenCV {cv2.__version__} has no HOG and cascade detectors",
                hint="Install `opencv-python-headless>=4.10,<5`",
            )
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        # A cascade keeps what it is looking at in itself, so every thread has its own.
        self._of_thread = threading.local()
        self._load_cascade()
        self._threads = ThreadPoolExecutor(
            len(os.sched_getaffinity(0)), thread_name_prefix="opencv", initializer=self._load_cascade
        )

    @property
    def description(self) -> Mapping[str, object]:
        return {
            "name": "opencv",
            "version": cv2.__version__,
            "sources": {
                "hog-scan": {
                    "finds": "person",
                    "method": "HOG default people detector over the enlarged picture",
                    "score": f"SVM margin, at least {SCAN_MARGIN_MIN:g}",
                },
                "hog-at-face": {
                    "finds": "person",
                    "method": "the same HOG classifier at the body's expected place below a found face",
                    "score": f"SVM margin, at least {AT_FACE_MARGIN_MIN:g}",
                },
                "haar-face": {"finds": "face", "method": FACE_CASCADE, "score": "weight of the last cascade stage"},
            },
        }

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        return list(self._threads.map(self._detect_one, pictures))

    def _load_cascade(self) -> None:
        cascade = self._of_thread.cascade = cv2.CascadeClassifier(
            str(Path(cv2.__file__).parent / "data" / FACE_CASCADE)
        )
        if cascade.empty():
            raise Mismatch("opencv-unsuitable", f"OpenCV ships no `{FACE_CASCADE}`", hint="Install the PyPI wheel")

    def _detect_one(self, picture: Pixels) -> list[Detection]:
        height, width = picture.shape[:2]
        ratio = min(1.0, WORK_SIDE_PX / max(height, width))
        work = _resize(picture, ratio) if ratio < 1 else picture
        grey = cv2.cvtColor(work, cv2.COLOR_BGR2GRAY)
        faces = self._find_faces(grey)
        people = self._scan_people(grey)
        sure = [each.box for each in people if each.score >= SCAN_MARGIN_GOOD]
        missed = [each for each in faces if not any(box.contains_point(*_centre(each.box)) for box in sure)]
        below = [found for face in missed if (found := self._person_at(work, face.box))]
        return [
            Detection(
                label=each.label,
                box=each.box.scale(1 / ratio).clip(width, height),
                score=each.score,
                source=each.source,
            )
            for each in (*_ordered(_distinct(people, kept=_distinct(below))), *_ordered(faces))
        ]

    def _find_faces(self, grey: Pixels) -> list[Detection]:
        boxes, _, weights = self._of_thread.cascade.detectMultiScale3(
            grey,
            scaleFactor=FACE_STEP,
            minNeighbors=FACE_NEIGHBOURS_MIN,
            minSize=(FACE_SIDE_MIN_PX, FACE_SIDE_MIN_PX),
            outputRejectLevels=True,
        )
        return [
            Detection(label=Label.FACE, box=Box(*map(float, box)), score=round(float(weight), 3), source="haar-face")
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]

    def _scan_people(self, grey: Pixels) -> list[Detection]:
        enlarged = _resize(grey, SCAN_ENLARGEMENT)
        if enlarged.shape[1] < _WINDOW[0] or enlarged.shape[0] < _WINDOW[1]:
            return []
        boxes, margins = self._hog.detectMultiScale(
            enlarged, hitThreshold=SCAN_MARGIN_MIN, winStride=(8, 8), padding=(8, 8), scale=SCAN_STEP, groupThreshold=0
        )
        found = _ordered(
            Detection(
                label=Label.PERSON,
                box=_trim_window(Box(*map(float, box)).scale(1 / SCAN_ENLARGEMENT)).clip(grey.shape[1], grey.shape[0]),
                score=round(float(margin), 3),
                source="hog-scan",
            )
            for box, margin in zip(boxes, np.ravel(margins), strict=True)
        )
        return [replace(each, box=_mean_box(each.box, found)) for each in _distinct(found)]

    def _person_at(self, work: Pixels, face: Box) -> Detection | None:
        """Ask the classifier about windows with the face in their upper third; None when it sees no person."""
        best: tuple[float, Box] | None = None
        for face_px in AT_FACE_HEIGHTS_PX:
            ratio = face_px / face.height
            patch, left, top = _patch_below(work, face, ratio, face_px)
            corners, margins = self._hog.detect(patch, hitThreshold=AT_FACE_MARGIN_MIN, winStride=(4, 4))
            face_x, face_y = _centre(face.scale(ratio).shift(-left, -top))
            for (x, y), margin in zip(corners, np.ravel(margins), strict=True):
                seen = x + 16 < face_x < x + 48 and y + 8 < face_y < y + 48
                if seen and (best is None or margin > best[0]):
                    best = float(margin), Box(left + float(x), top + float(y), *_WINDOW).scale(1 / ratio)
        if best is None:
            return None
        box = _trim_window(best[1]).union(face).clip(work.shape[1], work.shape[0])
        return Detection(label=Label.PERSON, box=box, score=round(best[0], 3), source="hog-at-face")


def _resize(picture: Pixels, ratio: float) -> Pixels:
    method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    resized: Pixels = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=method)
    return resized


def _patch_below(work: Pixels, face: Box, ratio: float, face_px: int) -> tuple[Pixels, int, int]:
    """The surroundings of a face at `ratio`, grey where the picture ends; also its left and top in reduced pixels."""
    centre_x, centre_y = (value * ratio for value in _centre(face))
    left, right = int(centre_x - 3.2 * face_px), int(centre_x + 3.2 * face_px)
    top, bottom = int(centre_y - 4 * face_px), int(centre_y + 7.5 * face_px)
    # Only the needed part of the picture is resized: for a small face the whole of it would be enlarged.
    x0, x1 = max(0, int(left / ratio)), min(work.shape[1], int(right / ratio) + 1)
    y0, y1 = max(0, int(top / ratio)), min(work.shape[0], int(bottom / ratio) + 1)
    part = _resize(work[y0:y1, x0:x1], ratio)
    dx, dy = max(0, round(x0 * ratio) - left), max(0, round(y0 * ratio) - top)
    patch = np.full((bottom - top, right - left, 3), _GREY, np.uint8)
    part = part[: patch.shape[0] - dy, : patch.shape[1] - dx]
    patch[dy : dy + part.shape[0], dx : dx + part.shape[1]] = part
    return patch, left, top


def _trim_window(window: Box) -> Box:
    """The person inside a HOG window, which was trained with a margin around it."""
    return Box(
        window.left + 0.1 * window.width, window.top + 0.07 * window.height, 0.8 * window.width, 0.8 * window.height
    )


def _centre(box: Box) -> tuple[float, float]:
    return box.left + box.width / 2, box.top + box.height / 2


def _mean_box(box: Box, found: Sequence[Detection]) -> Box:
    """The mean of the boxes that overlap `box`, weighed by their margins."""
    same = [each for each in found if each.box.iou(box) >= IOU_SAME]
    weights = [max(_WEIGHT_MIN, each.score) for each in same]
    edges = np.array([(each.box.left, each.box.top, each.box.width, each.box.height) for each in same])
    return Box(*map(float, np.average(edges, axis=0, weights=weights)))


def _distinct(people: Sequence[Detection], *, kept: Sequence[Detection] = ()) -> list[Detection]:
    """`kept`, and of `people` those who do not lie mostly inside one of these or of a higher score."""
    distinct = list(kept)
    for each in sorted(people, key=lambda person: (-person.score, person.box.left, person.box.top)):
        if each.box.area > 0 and all(each.box.overlap(other.box) < OVERLAP_SAME * each.box.area for other in distinct):
            distinct.append(each)
    return distinct


def _ordered(detections: Iterable[Detection]) -> list[Detection]:
    # OpenCV's threads return boxes in any order; the result must not depend on that.
    return sorted(detections, key=lambda each: (each.box.left, each.box.top, each.box.width, each.score))
