"""Fit a picture into a rectangle without changing its proportions, and find the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Pixels
from analyzer.geometry import Box

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies inside its letterbox: `left` and `top` in pixels there, and how many of its pixels one of those is."""

    left: int
    top: int
    step_x: float
    step_y: float

    def restore(self, box: Box) -> Box:
        """A box of the letterbox in pixels of the picture."""
        return Box(
            (box.left - self.left) * self.step_x,
            (box.top - self.top) * self.step_y,
            box.width * self.step_x,
            box.height * self.step_y,
        )


def letterbox(picture: Pixels, width: int, height: int, *, fill: int) -> tuple[Pixels, Placement]:
    """Scale a BGR picture up or down to fit `width` x `height`, centred, the rest of value `fill`.

    Source: ultralytics `LetterBox` and MiVOLO `class_letterbox`, which are the same geometry: bilinear, and an odd pixel of padding goes
    to the right or below.
    """
    height_px, width_px = picture.shape[:2]
    ratio = min(width / width_px, height / height_px)
    inner = (max(1, round(width_px * ratio)), max(1, round(height_px * ratio)))
    resized = picture if inner == (width_px, height_px) else cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    left, top = round((width - inner[0]) / 2 - 0.1), round((height - inner[1]) / 2 - 0.1)
    whole = np.full((height, width, 3), fill, np.uint8)
    whole[top : top + inner[1], left : left + inner[0]] = resized
    return whole, Placement(left, top, width_px / inner[0], height_px / inner[1])


def planes(pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    """BGR pictures of one size as float32 (n, 3, height, width) RGB, 0 to 1."""
    blob: NDArray[np.float32] = cv2.dnn.blobFromImages(list(pictures), 1 / 255, swapRB=True)
    return blob


def imagenet_planes(pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    """As `planes`, less ImageNet's mean and divided by its deviation, channel by channel."""
    mean, std = (np.array(each, np.float32).reshape(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    blob = planes(pictures)
    blob -= mean
    blob /= std
    return blob
