"""Where one shot ends and the next begins, from sampled pictures alone.

Between two pictures, two things are asked at a size of 64x36: does the middle of the one lie anywhere near in the other (a correlation,
which brightness and contrast do not change, and a pan only moves), and do both have the same colours (histograms, which motion does
not change). Only what is another picture in both ways is a cut.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Pixels

_WIDTH, _HEIGHT = 64, 36
# What may move out of the picture from one sample to the next is as wide as this margin.
_MARGIN_X, _MARGIN_Y = 10, 5
# A picture of less contrast (a fade's end, a flash) shows nothing; the next one is compared with the last that did.
_CONTRAST_MIN = 6.0
# Of 600 pairs of unrelated photographs 95 % differ by more than 0.5; a person who fills a third of the picture makes 0.40.
_DIFFERENT = 0.42
# Where pictures always differ, a cut is so many times the usual; from `_SURE` on it is one anyhow.
_TIMES_USUAL = 1.8
_SURE = 0.75
_REMEMBERED = 8
_SHAPES_WEIGHT = 0.6
_LUMA_BINS, _HUE_BINS, _SATURATION_MIN = 16, 12, 48


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What is compared: `small` (36, 64, 3) BGR, its brightness, and its histograms, each of sum 1."""

    small: Pixels
    grey: Pixels
    luma: NDArray[np.float32]
    hue: NDArray[np.float32]


class CutDetector:
    """Tells cuts between the pictures of one video as they come."""

    def __init__(self) -> None:
        self._shown: _View | None = None
        self._differences: list[float] = []

    def add(self, picture: Pixels) -> bool:
        """True when a uint8 (height, width, 3) BGR picture begins another shot than the one before; False for the first."""
        view = _view(_reduce(picture))
        if float(cv2.meanStdDev(view.grey)[1][0, 0]) < _CONTRAST_MIN:
            return False
        before, self._shown = self._shown, view
        if before is None:
            return False
        difference = _difference(before, view)
        cut = difference >= self._threshold()
        # A cut says nothing about how much the pictures of a shot differ.
        self._differences = [] if cut else [*self._differences, difference][-_REMEMBERED:]
        return cut

    def snapshot(self) -> dict[str, Any]:
        """All that it knows, as JSON values."""
        shown = None if self._shown is None else base64.b64encode(self._shown.small.tobytes()).decode()
        return {"shown": shown, "differences": list(self._differences)}

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any]) -> CutDetector:
        """A detector that goes on as the one of `snapshot` would have."""
        detector = cls()
        if snapshot["shown"] is not None:
            pixels = np.frombuffer(base64.b64decode(snapshot["shown"]), np.uint8)
            detector._shown = _view(pixels.reshape(_HEIGHT, _WIDTH, 3))
        detector._differences = list(snapshot["differences"])
        return detector

    def _threshold(self) -> float:
        usual = median(self._differences) if self._differences else 0.0
        return min(_SURE, max(_DIFFERENT, _TIMES_USUAL * usual))


def _reduce(picture: Pixels) -> Pixels:
    # Averages need a few pixels each, not all of a large picture.
    few = cv2.resize(picture, (2 * _WIDTH, 2 * _HEIGHT), interpolation=cv2.INTER_NEAREST)
    small: Pixels = cv2.resize(few, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    return small


def _view(small: Pixels) -> _View:
    hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)
    luma = cv2.calcHist([hsv], [2], None, [_LUMA_BINS], [0, 256]).ravel() / (_WIDTH * _HEIGHT)
    coloured = cv2.inRange(hsv, (0, _SATURATION_MIN, 0), (180, 255, 255))
    hue = cv2.calcHist([hsv], [0], coloured, [_HUE_BINS], [0, 180]).ravel() / (_WIDTH * _HEIGHT)
    # What has no colour counts in one more bin: the hue of grey is noise. Brightness is blurred, because otherwise a small change of
    # it moves whole areas into the next bin.
    return _View(
        small,
        cv2.cvtColor(small, cv2.COLOR_BGR2GRAY),
        np.convolve((luma[0], *luma, luma[-1]), (0.25, 0.5, 0.25), mode="valid"),
        np.append(hue, 1 - hue.sum()),
    )


def _difference(before: _View, after: _View) -> float:
    """0 for the same picture to 1 for one that shares neither shapes nor colours."""
    shapes, colours = _unlike_shapes(before, after), _unlike_colours(before, after)
    return float(shapes**_SHAPES_WEIGHT * colours ** (1 - _SHAPES_WEIGHT))


def _unlike_shapes(before: _View, after: _View) -> float:
    """1 minus the best correlation of the middle of `before` with any place in `after` that is not farther off than the margin."""
    middle = before.grey[_MARGIN_Y:-_MARGIN_Y, _MARGIN_X:-_MARGIN_X]
    best = float(cv2.matchTemplate(after.grey, middle, cv2.TM_CCOEFF_NORMED).max())
    return 1 - min(1.0, max(0.0, best))


def _unlike_colours(before: _View, after: _View) -> float:
    """Half the distance of the histograms of brightness or of hue, whichever is more; 0..1."""
    return max(float(np.abs(before.luma - after.luma).sum()), float(np.abs(before.hue - after.hue).sum())) / 2
