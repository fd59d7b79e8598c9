"""Fake networks that were opened, what they were made with, and plain pictures for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.backends.onnx.session import Engine
from analyzer.backends.onnx.turns import Urgency
from analyzer.errors import Mismatch

ENGINE = Engine()
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)

# One anchor per column: centre x and y, width, height, then the scores of person and face, in pixels of 96x64.
ANCHORS = np.array(
    [
        [30, 32, 20, 40, 0.9, 0.1],
        [31, 32, 20, 40, 0.8, 0.1],  # the same person
        [36, 32, 20, 40, 0.7, 0.1],  # another one, nearby
        [30, 32, 20, 40, 0.1, 0.6],  # a face of the same size as the first person
        [70, 20, 10, 10, 0.2, 0.1],  # a weak person
        [80, 20, 10, 10, 0.1, 0.3],  # a weak face
        [90, 50, 10, 10, 0.05, 0.0],  # nothing
    ]
).T
SURE = np.array([[48, 32, 20, 40, 0.9, 0]]).T


def plain(bgr: tuple[int, int, int], width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), bgr, np.uint8)


def noise(width: int, height: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)


def halved(picture: np.ndarray) -> np.ndarray:
    """Each pixel the rounded mean of four."""
    height, width, _ = picture.shape
    return ((picture.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3), dtype=np.int64) + 2) // 4).astype(
        np.uint8
    )


def normalised(picture: np.ndarray) -> np.ndarray:
    return ((picture[:, :, ::-1] / 255.0 - MEAN) / STD).transpose(2, 0, 1)


def code_of(make: Any, path: Path, *said: str) -> str:
    with pytest.raises(Mismatch) as caught:
        make(ENGINE.open(path, Urgency.DETECT), {})
    assert all(word in caught.value.message for word in (path.name, *said)), caught.value.message
    return caught.value.code
