"""People of plain colours: drawn into clips, and found by models that are exact functions of the pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.backends.base import (
    SECTORS,
    Attributes,
    Backends,
    Caption,
    Confidence,
    Detection,
    Label,
    PersonCrop,
    Pixels,
)
from analyzer.geometry import Box

# BGR. A face is drawn inside its body.
BODY = (40, 40, 220)
FACE = (60, 220, 60)
CLOSE = 60
AREA_MIN_PX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """Stripes of two colours, level (axis 0) or upright (axis 1)."""

    axis: int
    light: tuple[int, int, int]
    dark: tuple[int, int, int]


STRIPE_PX = 30
WALLS = (
    Wall(axis=0, light=(150, 150, 150), dark=(100, 100, 100)),
    Wall(axis=1, light=(220, 190, 150), dark=(120, 90, 90)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """Somebody who is in the picture from `first_s` to `last_s` and walks `speed` pixels a second to the right."""

    left: float
    top: float = 20
    width: float = 30
    height: float = 60
    speed: float = 6
    first_s: float = 0
    last_s: float = 1e9
    face: bool = True

    def body_at(self, second: float) -> Box | None:
        """Where its body is drawn."""
        if not self.first_s <= second < self.last_s:
            return None
        return Box(self.left + self.speed * (second - self.first_s), self.top, self.width, self.height)

    def face_at(self, second: float) -> Box | None:
        body = self.body_at(second)
        if body is None or not self.face:
            return None
        return Box(body.left + body.width * 0.3, body.top + body.height * 0.05, body.width * 0.4, body.height * 0.2)


def draw_clip(
    path: Path,
    walkers: Sequence[Walker],
    *,
    seconds: float,
    fps: int = 10,
    size: tuple[int, int] = (320, 180),
    keyframe_every: int = 10,
    cut_s: float = 1e9,
) -> Path:
    """An H.264 clip of `walkers` before one wall, and from `cut_s` on before another."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"g": str(keyframe_every), "threads": "1", "preset": "ultrafast", "crf": "18"}
        for index in range(round(seconds * fps)):
            picture = draw(walkers, index / fps, size, WALLS[index / fps >= cut_s])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def draw(walkers: Sequence[Walker], second: float, size: tuple[int, int], wall: Wall) -> Pixels:
    picture = np.empty((size[1], size[0], 3), np.uint8)
    places = np.indices((size[1], size[0]))[wall.axis] // STRIPE_PX % 2
    picture[:] = np.where(places[..., None], wall.dark, wall.light)
    for walker in walkers:
        for box, colour in ((walker.body_at(second), BODY), (walker.face_at(second), FACE)):
            if box is not None:
                corners = [(round(box.left), round(box.top)), (round(box.right) - 1, round(box.bottom) - 1)]
                cv2.rectangle(picture, corners[0], corners[1], colour, cv2.FILLED)
    return picture


class ColourDetector:
    """Finds the drawn people: one detection per patch of their colours."""

    side_px = 320
    confidence = Confidence(high=0.5, low=0.1, new=0.5)
    description: Mapping[str, object] = {"name": "colours"}

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        return [self._detect_one(picture) for picture in pictures]

    @staticmethod
    def _detect_one(picture: Pixels) -> list[Detection]:
        found = []
        face = _close_to(picture, FACE)
        # A body goes on below its face, and colours run into each other between the two.
        both = cv2.morphologyEx(_close_to(picture, BODY) | face, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        for label, mask in ((Label.PERSON, both), (Label.FACE, face)):
            _, _, boxes, _ = cv2.connectedComponentsWithStats(mask)
            found += [
                Detection(label=label, box=Box(*map(float, box[:4])), score=0.9, source="colours")
                for box in sorted(boxes[1:].tolist())
                if box[4] >= AREA_MIN_PX
            ]
        return found


class ColourAttributes:
    """Age by the height of the body crop, in pixels; female where a face is seen. Counts what it was asked."""

    description: Mapping[str, object] = {"name": "colours"}

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        self.asked += len(people)
        age = np.array([np.nan if each.body is None else each.body.shape[0] for each in people], np.float64)
        female = np.array([0.1 if each.face is None else 0.9 for each in people], np.float64)
        return Attributes(age=age, age_low=age - 5, age_high=age + 5, female=female)


class ColourOrientation:
    """Everybody faces 90 degrees."""

    description: Mapping[str, object] = {"name": "colours"}

    def predict(self, bodies: Sequence[Pixels]) -> NDArray[np.float32]:
        sectors = np.zeros((len(bodies), SECTORS), np.float32)
        sectors[:, SECTORS // 4] = 1
        return sectors


class ColourCaptioner:
    """Tells the colour of the picture's corner."""

    description: Mapping[str, object] = {"name": "colours"}

    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption:
        blue, green, red = (int(round(value, -1)) for value in picture[0, 0].tolist())
        return Caption(text=f"{prompt}: {blue} {green} {red}", tokens=4, finished=True)


def coloured_backends() -> Backends:
    """All models of this module."""
    return Backends(
        detector=ColourDetector(),
        embedder=AppearanceEmbedder(),
        attributes=ColourAttributes(),
        orientation=ColourOrientation(),
        captioner=ColourCaptioner(),
    )


def _close_to(picture: Pixels, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    distance = np.abs(picture.astype(np.int16) - np.array(colour, np.int16)).max(axis=2)
    return np.asarray(distance < CLOSE, np.uint8)
