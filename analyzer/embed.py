"""A small appearance descriptor per track: finds similar pictures, does not recognise people."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Pixels

# The name is part of the stored row: another descriptor gets another name and never mixes with these.
SPACE = "opencv-hog144-hs32"
DIMENSION = 176
_HOG_SIDE_PX = 32
_HUE_BINS, _SATURATION_BINS = 8, 4
_hog = cv2.HOGDescriptor((_HOG_SIDE_PX, _HOG_SIDE_PX), (16, 16), (16, 16), (8, 8), 9)


def embed(pixels: Pixels) -> NDArray[np.float32]:
    """Describe a BGR crop by edge directions (144) and a hue-saturation histogram (32); L2 norm 1, shape (176,)."""
    small = cv2.resize(pixels, (_HOG_SIDE_PX, _HOG_SIDE_PX), interpolation=cv2.INTER_AREA)
    edges = np.ravel(_hog.compute(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)))
    hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)
    colours = np.ravel(cv2.calcHist([hsv], [0, 1], None, [_HUE_BINS, _SATURATION_BINS], [0, 180, 0, 256]))
    both = np.concatenate([_unit(edges), _unit(colours)])
    return _unit(both).astype(np.float32)


def _unit(vector: NDArray[Any]) -> NDArray[np.float64]:
    norm = float(np.linalg.norm(vector))
    return np.asarray(vector / norm if norm > 0 else vector, np.float64)
