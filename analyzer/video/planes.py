"""Upright 4:2:0 pictures in shared memory, and BGR pictures made of them only where somebody looks.

Converting a whole frame costs more than decoding it; a picture for a detector is reduced before it is converted, and a crop is cut
before it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.geometry import Box
from analyzer.video.layout import Plane

# Weights of red and blue in luma, by the number that ISO/IEC 23091-2 gives the matrix.
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
# What FFmpeg takes where the stream does not say.
_DEFAULT_WEIGHTS = (0.299, 0.114)


@dataclass(frozen=True, slots=True)
class Colours:
    """How the numbers of a stream mean colours: its matrix, and whether luma uses the full range 0 to 255."""

    matrix: int = 2
    full_range: bool = False

    @property
    def to_bgr(self) -> NDArray[np.float32]:
        """(3, 4): BGR = matrix @ (Y, U, V, 1)."""
        red, blue = _LUMA_WEIGHTS.get(self.matrix, _DEFAULT_WEIGHTS)
        green = 1 - red - blue
        luma, chroma, black = (1.0, 1.0, 0.0) if self.full_range else (255 / 219, 255 / 224, 16.0)
        u_blue, v_red = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
        u_green, v_green = -u_blue * blue / green, -v_red * red / green
        rows = np.array([[luma, u_blue, 0, 0], [luma, u_green, v_green, 0], [luma, 0, v_red, 0]])
        rows[:, 3] = -rows[:, :3] @ (black, 128, 128)
        return rows.astype(np.float32)


@dataclass(slots=True, eq=False)
class Frame:
    """One sampled picture: `pts_ms` from the stream's start, `segment` it belongs to.

    Its planes are shared memory: `release` gives them back, and nothing may be read from it after that.
    """

    segment: int
    pts_ms: int
    planes: tuple[Plane, Plane, Plane]
    colours: Colours = field(default_factory=Colours)
    release: Callable[[], None] = field(default=lambda: None)
    # What `picture` made of the luma on its way, which is read faster than the whole: nobody has looked at that since it was decoded.
    _reduced: Plane | None = field(default=None, init=False, repr=False)

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    def picture(self, side_px: int) -> Plane:
        """The whole as BGR (height, width, 3), reduced so that no side is longer than `side_px`."""
        size = _size(self.planes[0], side_px)
        parts = [halve(each, size) for each in self.planes]
        self._reduced = parts[0]
        return self._coloured(parts, size)

    def luma(self, box: Box, side_px: int) -> Plane | None:
        """The brightness inside `box`, a view; None when less than 2 x 2 pixels are left of it.

        Where `picture` was called, and `side_px` or more are left of both sides, as that has halved it.
        """
        corners = self._corners(box)
        if corners is None:
            return None
        if self._reduced is not None:
            ratio = self.width // self._reduced.shape[1]
            left, top, right, bottom = (each // ratio for each in corners)
            if min(right - left, bottom - top) >= side_px:
                return self._reduced[top:bottom, left:right]
        left, top, right, bottom = corners
        return self.planes[0][top:bottom, left:right]

    def cut(self, box: Box, side_px: int) -> Plane | None:
        """The part inside `box` as BGR, reduced to at most `side_px` a side; None when less than 2 x 2 pixels are left of it."""
        corners = self._corners(box)
        if corners is None:
            return None
        left, top, right, bottom = corners
        luma, u, v = self.planes
        # From an even corner on, so that chroma covers the same part as luma.
        left_even, top_even = left & ~1, top & ~1
        chroma = slice(top_even // 2, (bottom + 1) // 2), slice(left_even // 2, (right + 1) // 2)
        part = luma[top_even:bottom, left_even:right], u[chroma], v[chroma]
        if side_px < max(right - left, bottom - top):
            size = _size(part[0], side_px)
            return self._coloured([halve(each, size) for each in part], size)
        size = part[0].shape[1], part[0].shape[0]
        return self._coloured([*part], size)[top - top_even :, left - left_even :].copy()

    def _corners(self, box: Box) -> tuple[int, int, int, int] | None:
        inside = box.clip(self.width, self.height)
        left, top, right, bottom = (round(value) for value in (inside.left, inside.top, inside.right, inside.bottom))
        return None if right - left < 2 or bottom - top < 2 else (left, top, right, bottom)

    def _coloured(self, parts: Sequence[Plane], size: tuple[int, int]) -> Plane:
        """BGR of `size` (width, height), of luma and chroma of at least that size, or chroma of half of it."""
        # Mostly all are as large as chroma was: one picture of three channels is reduced in a third of the time of three pictures.
        if parts[0].shape != parts[1].shape:
            parts = [_resize(each, size) for each in parts]
        merged = cv2.merge(parts)
        picture: Plane = cv2.transform(_resize(merged, size), self.colours.to_bgr)
        return picture


def shrink(picture: Plane, side_px: int) -> Plane:
    """A copy reduced so that no side is longer than `side_px`; a smaller picture keeps its size."""
    size = _size(picture, side_px)
    return picture.copy() if size == picture.shape[1::-1] else _resize(picture, size)


def _size(picture: Plane, side_px: int) -> tuple[int, int]:
    """Width and height of `picture` once no side is longer than `side_px`."""
    height, width = picture.shape[:2]
    ratio = min(1.0, side_px / max(width, height))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def halve(plane: Plane, size: tuple[int, int]) -> Plane:
    """Halved as often as that leaves both sides at least as long as `size` (width, height).

    Halving takes a tenth of the time that reducing by any other ratio takes, and leaves a quarter of the work.
    """
    while plane.shape[1] >= 2 * size[0] and plane.shape[0] >= 2 * size[1]:
        halved = plane.shape[1] // 2, plane.shape[0] // 2
        plane = cv2.resize(plane[: 2 * halved[1], : 2 * halved[0]], halved, interpolation=cv2.INTER_AREA)
    return plane


def _resize(plane: Plane, size: tuple[int, int]) -> Plane:
    plane = halve(plane, size)
    if (plane.shape[1], plane.shape[0]) == size:
        return plane
    resized: Plane = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return resized
