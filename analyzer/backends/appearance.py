"""A small appearance descriptor: finds similar pictures, does not recognise people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Pixels

_HOG_SIDE_PX = 32
_HUE_BINS, _SATURATION_BINS = 8, 4


class AppearanceEmbedder:
    """Edge directions (144) and a hue-saturation histogram (32) of a picture."""

    # The name is part of the stored row: another descriptor gets another name and never mixes with these.
    space = "opencv-hog144-hs32"
    dimension = 176

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor((_HOG_SIDE_PX, _HOG_SIDE_PX), (16, 16), (16, 16), (8, 8), 9)

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "appearance", "space": self.space, "dimension": self.dimension}

    def embed(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        vectors = [self._embed_one(picture) for picture in pictures]
        return np.stack(vectors) if vectors else np.zeros((0, self.dimension), np.float32)

    def _embed_one(self, picture: Pixels) -> NDArray[np.float32]:
        small = cv2.resize(picture, (_HOG_SIDE_PX, _HOG_SIDE_PX), interpolation=cv2.INTER_AREA)
        edges = np.ravel(self._hog.compute(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)))
        hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)
        colours = np.ravel(cv2.calcHist([hsv], [0, 1], None, [_HUE_BINS, _SATURATION_BINS], [0, 180, 0, 256]))
        return _unit(np.concatenate([_unit(edges), _unit(colours)])).astype(np.float32)


def _unit(vector: NDArray[Any]) -> NDArray[np.float64]:
    norm = float(np.linalg.norm(vector))
    return np.asarray(vector / norm if norm > 0 else vector, np.float64)
