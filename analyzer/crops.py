"""The best pictures of each human in one segment: kept while frames pass, so that no frame needs to be decoded twice."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2

from analyzer.backends.base import Label, PersonCrop, Pixels
from analyzer.geometry import Box
from analyzer.video.planes import Frame, halve, shrink

# What the models of one human are asked about at most, and how much more for each segment after the first.
SAMPLES_MAX = 8
SAMPLES_PER_SEGMENT = 1
# Without landmarks, this much around the Haar box gave the steadiest age over five scales.
FACE_PADDING = 0.05
THUMBNAIL_SIDE_PX = 256
THUMBNAIL_QUALITY = 85
# Crops larger than this are reduced when they are kept, which bounds the memory per human.
CROP_SIDE_MAX_PX = 384
_SHARPNESS_SIDE_PX = 64


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """One human in one frame; compares by whether a face is seen, then by quality, then the earlier one is better."""

    has_face: bool
    quality: float
    earliness_ms: int
    crop: PersonCrop = field(compare=False, repr=False)

    @property
    def pts_ms(self) -> int:
        return -self.earliness_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """The best picture of one kind, with its time."""

    quality: float
    pts_ms: int
    pixels: Pixels = field(repr=False)


class CropKeeper:
    """The best crops of one human in one segment: `limit` samples for the models, and a portrait of each kind."""

    def __init__(self, limit: int = SAMPLES_MAX) -> None:
        self._limit = limit
        self._heap: list[Sample] = []
        self.portraits: dict[Label, Portrait] = {}

    @property
    def best_first(self) -> list[Sample]:
        return sorted(self._heap, reverse=True)

    def offer(
        self, frame: Frame, *, face: Box | None, body: Box | None, others: Sequence[Box], faces: Sequence[Box]
    ) -> None:
        """Look at one human in `frame`, and cut out what is among the best so far.

        `others` are the boxes of the other people there, `faces` those of all faces.
        """
        face = face.grow(FACE_PADDING) if face else None
        qualities = {Label.FACE: _quality(frame, face), Label.PERSON: _quality(frame, body)}
        cuts: dict[Label, Pixels | None] = {}
        for label, box in ((Label.FACE, face), (Label.PERSON, body)):
            best = self.portraits.get(label)
            if box and qualities[label] > (best.quality if best else 0):
                cuts[label] = pixels = frame.cut(box, CROP_SIDE_MAX_PX)
                if pixels is not None:
                    self.portraits[label] = Portrait(quality=qualities[label], pts_ms=frame.pts_ms, pixels=pixels)
        has_face = qualities[Label.FACE] > 0
        quality = qualities[Label.FACE] if has_face else qualities[Label.PERSON]
        rank = has_face, quality, -frame.pts_ms
        if not quality or (len(self._heap) >= self._limit and rank <= _rank(self._heap[0])):
            return
        sample = Sample(*rank, _crop(frame, cuts, face, body, others, faces))
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, sample)
        else:
            heapq.heapreplace(self._heap, sample)


def thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of at most 256 pixels a side."""
    small = shrink(pixels, THUMBNAIL_SIDE_PX)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    return bytes(data)


def sharpness(luma: Pixels) -> float:
    """The logarithm of the Laplacian's variance at a fixed size; 0 for a plain surface."""
    size = _SHARPNESS_SIDE_PX, _SHARPNESS_SIDE_PX
    fixed = cv2.resize(halve(luma, size), size, interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(fixed, cv2.CV_16S))
    return math.log1p(float(deviation[0, 0]) ** 2)


def _quality(frame: Frame, box: Box | None) -> float:
    """Shorter side in pixels times sharpness; 0 when there is nothing to see. A plain surface is still better than nothing."""
    luma = frame.luma(box, _SHARPNESS_SIDE_PX) if box else None
    if box is None or luma is None:
        return 0.0
    inside = box.clip(frame.width, frame.height)
    return round(min(inside.width, inside.height) * (0.01 + sharpness(luma)), 6)


def _rank(sample: Sample) -> tuple[bool, float, int]:
    return sample.has_face, sample.quality, sample.earliness_ms


def _crop(
    frame: Frame,
    cuts: dict[Label, Pixels | None],
    face: Box | None,
    body: Box | None,
    others: Sequence[Box],
    faces: Sequence[Box],
) -> PersonCrop:
    for label, box in ((Label.FACE, face), (Label.PERSON, body)):
        if label not in cuts:
            cuts[label] = frame.cut(box, CROP_SIDE_MAX_PX) if box else None
    pixels = cuts[Label.PERSON]
    if body is None or pixels is None:
        return PersonCrop(face=cuts[Label.FACE], body=pixels)
    inside = body.clip(frame.width, frame.height)
    ratio = pixels.shape[1] / inside.width
    size = pixels.shape[1], pixels.shape[0]

    def moved(boxes: Sequence[Box]) -> tuple[Box, ...]:
        there = (each.shift(-inside.left, -inside.top).scale(ratio).clip(*size) for each in boxes)
        return tuple(each for each in there if each.area > 0)

    return PersonCrop(face=cuts[Label.FACE], body=pixels, others=moved(others), faces=moved(faces))
