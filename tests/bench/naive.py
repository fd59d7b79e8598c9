"""The loop that most scripts have, kept as the comparison: every frame, one after the other, one picture at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 640
CROP_PX = 224
PAD = 114
# Left, top, right, bottom as fractions of the frame: what a detector would have found.
BOXES = ((0.1, 0.2, 0.25, 0.9), (0.5, 0.25, 0.62, 0.85))


def analyse_naively(
    path: Path, detect: Callable[[NDArray[np.float32]], Any], attributes: Callable[[NDArray[np.float32]], Any]
) -> int:
    """Read, letterbox, ask the detector about one picture, ask for the attributes of each box; returns the number of frames."""
    # What OpenCV chooses by itself, whatever was measured before in the same program.
    cv2.setNumThreads(-1)
    video = cv2.VideoCapture(str(path))
    frames = 0
    while True:
        read, frame = video.read()
        if not read:
            return frames
        frames += 1
        detect(_blob(_letterbox(frame)))
        height, width = frame.shape[:2]
        for left, top, right, bottom in BOXES:
            crop = frame[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
            attributes(_blob(cv2.resize(crop, (CROP_PX, CROP_PX))))


def _letterbox(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    ratio = SIDE_PX / max(frame.shape[:2])
    small = cv2.resize(frame, None, fx=ratio, fy=ratio)
    square = np.full((SIDE_PX, SIDE_PX, 3), PAD, np.uint8)
    top, left = (SIDE_PX - small.shape[0]) // 2, (SIDE_PX - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def _blob(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    rgb = picture[:, :, ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), np.float32)[None]
