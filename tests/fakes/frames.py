"""Frames as the decoder gives them, made of pictures."""

from __future__ import annotations

import cv2

from analyzer.backends.base import Pixels
from analyzer.video.layout import Layout
from analyzer.video.planes import Frame


def frame_of(picture: Pixels, pts_ms: int = 0) -> Frame:
    """A BGR picture, whose sides must be even, as a frame of the first segment."""
    memory = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    return Frame(0, pts_ms, Layout(picture.shape[1], picture.shape[0]).planes(memory))
