"""People by HOG and faces by a Haar cascade: both ship inside OpenCV, so no weights are needed.

The HOG network was trained on whole pedestrians. A portrait shows head and shoulders only, so besides scanning the
picture, the same classifier is asked about the place where the body below each found face would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
FACE_NEIGHBOURS_MIN = 4
# A free scan looks at about ten thousand windows, so it needs a clear margin from the SVM plane.
SCAN_MARGIN_MIN = 0.5
# At a face, margin 0 confirmed 77 of 81 portraits (0.25 to 0.94 scale, three backgrounds) and 10 of 220 random places.
AT_FACE_MARGIN_MIN = 0.0
# Face heights, in pixels of the 64x128 HOG window, at which a person below the face is looked for.
AT_FACE_HEIGHTS_PX = (16, 17, 18, 19, 20, 21, 22)
OVERLAP_SAME = 0.5
_WINDOW = (64, 128)
_GREY = (128, 128, 128)


class OpenCvDetector:
    """HOG person detector and Haar face detector on the CPU."""

    side_px = WORK_SIDE_PX
    confidence = Confidence(high=SCAN_MARGIN_MIN, low=AT_FACE_MARGIN_MIN, new=SCAN_MARGIN_MIN)

    def __init__(self) -> None:
        if not hasattr(cv2, "HOGDescriptor") or not hasattr(cv2, "CascadeClassifier"):
            raise Mismatch(
                "opencv-unsuitable",
                f"OpenCV {cv2.__version__} has no HOG and cascade detectors",
                hint="Install `opencv-python-headless>=4.10,<5`",
            )
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        self._faces = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / FACE_CASCADE))
        if self._faces.empty():
            raise Mismatch("opencv-unsuitable", f"OpenCV ships no `{FACE_CASCADE}`", hint="Install the PyPI wheel")

    @property
    def description(self) -> Mapping[str, object]:
        return {
            "name": "opencv",
            "version": cv2.__version__,
            "sources": {
                "hog-scan": {
                    "finds": "person",
                    "method": "HOG default people detector over the picture",
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
        return [self._detect_one(picture) for picture in pictures]

    def _detect_one(self, picture: Pixels) -> list[Detection]:
        height, width = picture.shape[:2]
        ratio = min(1.0, WORK_SIDE_PX / max(height, width))
        work = _resize(picture, ratio) if ratio < 1 else picture
        faces = self._find_faces(work)
        people = self._scan_people(work)
        for face in faces:
            covered = any(each.box.contains_point(*_centre(face.box)) for each in people)
            found = None if covered else self._person_at(work, face.box)
            if found:
                people.append(found)
        return [
            Detection(
                label=each.label,
                box=each.box.scale(1 / ratio).clip(width, height),
                score=each.score,
                source=each.source,
            )
            for each in (*_ordered(_distinct(people)), *_ordered(faces))
        ]

    def _find_faces(self, work: Pixels) -> list[Detection]:
        grey = cv2.cvtColor(work, cv2.COLOR_BGR2GRAY)
        boxes, _, weights = self._faces.detectMultiScale3(
            grey,
            scaleFactor=1.1,
            minNeighbors=FACE_NEIGHBOURS_MIN,
            minSize=(FACE_SIDE_MIN_PX, FACE_SIDE_MIN_PX),
            outputRejectLevels=True,
        )
        return [
            Detection(label=Label.FACE, box=Box(*map(float, box)), score=round(float(weight), 3), source="haar-face")
            for box, weight in zip(boxes, np.ravel(weights), strict=True)
        ]

    def _scan_people(self, work: Pixels) -> list[Detection]:
        if work.shape[1] < _WINDOW[0] or work.shape[0] < _WINDOW[1]:
            return []
        boxes, margins = self._hog.detectMultiScale(
            work, hitThreshold=SCAN_MARGIN_MIN, winStride=(8, 8), padding=(8, 8), scale=1.1
        )
        return [
            Detection(
                label=Label.PERSON,
                box=_trim_window(Box(*map(float, box))).clip(work.shape[1], work.shape[0]),
                score=round(float(margin), 3),
                source="hog-scan",
            )
            for box, margin in zip(boxes, np.ravel(margins), strict=True)
        ]

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


def _distinct(people: list[Detection]) -> list[Detection]:
    """Drop a box that lies mostly inside one with a higher score."""
    kept: list[Detection] = []
    for each in sorted(people, key=lambda person: (-person.score, person.box.left, person.box.top)):
        if each.box.area > 0 and all(each.box.overlap(other.box) < OVERLAP_SAME * each.box.area for other in kept):
            kept.append(each)
    return kept


def _ordered(detections: list[Detection]) -> list[Detection]:
    # OpenCV's threads return boxes in any order; the result must not depend on that.
    return sorted(detections, key=lambda each: (each.box.left, each.box.top, each.box.width, each.score))
