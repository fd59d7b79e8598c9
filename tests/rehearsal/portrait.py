"""A clip of a real human's portrait, from what an installed package ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import av
import cv2
import pytest


def folder_of(package: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"the wheel `{package}` is not installed")
    return Path(spec.origin).parent


def write_portrait_clip(path: Path, *, seconds: int, scale: float = 0.75) -> None:
    """The public-domain astronaut portrait moving from left to right, 640x480 at 25 fps."""
    picture = cv2.imread(str(folder_of("skimage") / "data" / "astronaut.png"))
    person = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    side, count = person.shape[0], 25 * seconds
    scene = cv2.GaussianBlur(cv2.resize(picture, (640, 480)), (0, 0), 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index in range(count):
            canvas, left = scene.copy(), 40 + (560 - side) * index // count
            canvas[480 - side :, left : left + side] = person
            for packet in stream.encode(av.VideoFrame.from_ndarray(canvas, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
