"""The best pictures of each track: kept while frames pass, so that no frame needs to be decoded twice."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

import cv2

from analyzer.backends.base import Pixels
from analyzer.geometry import Box

FACES_PER_TRACK = 8
# Without landmarks, this much around the Haar box gave the steadiest age over five scales.
FACE_PADDING = 0.05
THUMBNAIL_SIDE_PX = 256
THUMBNAIL_QUALITY = 85
# Crops larger than this are reduced when they are kept, which bounds the memory per track.
CROP_SIDE_MAX_PX = 384
_SHARPNESS_SIDE_PX = 64


@dataclass(frozen=True, slots=True, order=True)
class Crop:
    """A cut-out that compares by quality (side in pixels times sharpness), then by time."""

    quality: float
    pts_ms: int
    box: Box = field(compare=False)
    pixels: Pixels = field(compare=False, repr=False)


class CropKeeper:
    """Keeps the `limit` best crops."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[Crop] = []

    def offer(self, picture: Pixels, box: Box, pts_ms: int, *, padding: float = 0.0) -> None:
        """Cut `box` out of `picture` and keep it if it is among the best so far."""
        pixels = cut(picture, box.grow(padding))
        if pixels is None:
            return
        crop = Crop(quality_of(pixels), -pts_ms, box, pixels)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, crop)
        elif crop > self._heap[0]:
            heapq.heapreplace(self._heap, crop)

    @property
    def best_first(self) -> list[Crop]:
        """Of two equally good crops the earlier one comes first; `pts_ms` is positive again."""
        ordered = sorted(self._heap, reverse=True)
        return [Crop(each.quality, -each.pts_ms, each.box, each.pixels) for each in ordered]


def cut(picture: Pixels, box: Box) -> Pixels | None:
    """Copy of the part of `picture` inside `box`, at most 384 pixels a side; None when nothing is left."""
    inside = box.clip(picture.shape[1], picture.shape[0])
    left, top, right, bottom = (round(value) for value in (inside.left, inside.top, inside.right, inside.bottom))
    if right - left < 2 or bottom - top < 2:
        return None
    return shrink(picture[top:bottom, left:right], CROP_SIDE_MAX_PX).copy()


def shrink(picture: Pixels, side_px: int) -> Pixels:
    """Reduce so that no side is longer than `side_px`; smaller pictures stay as they are."""
    ratio = side_px / max(picture.shape[:2])
    if ratio >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * ratio)), max(1, round(picture.shape[0] * ratio)))
    reduced: Pixels = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return reduced


def quality_of(pixels: Pixels) -> float:
    """Side in pixels times the logarithm of the Laplacian's variance at a fixed size."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    fixed = cv2.resize(grey, (_SHARPNESS_SIDE_PX, _SHARPNESS_SIDE_PX), interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(fixed, cv2.CV_64F).var())
    side_px = int(min(pixels.shape[:2]))
    return round(side_px * math.log1p(sharpness), 6)


def thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of at most 256 pixels a side."""
    small = shrink(pixels, THUMBNAIL_SIDE_PX)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    return bytes(data)
