"""Age and gender by MiVOLO v1, from face and body together.

Input (n, 6, side, side): the face's channels, then the body's. Output (n, 3): logits of male and female, and an age that the constants in
the file's metadata turn into years. What the network has no file of its own for, `min_age`, `max_age`, `avg_age` and `input_size`, the
export writes there. Source: the paper (arXiv 2307.04616) and the published preprocessing of that model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import RANGE_OF_ERROR, Attributes, PersonCrop, Pixels
from analyzer.backends.onnx.letterbox import imagenet_planes, letterbox
from analyzer.backends.onnx.session import Network, require_finite, softmax
from analyzer.backends.onnx.signature import require_signature
from analyzer.errors import Mismatch
from analyzer.geometry import Box

FEMALE = 1
BODY_SIDE_MIN_PX = 50
# Another person that comes this near to an edge of the crop, as a part of its side, is taken to reach it.
EDGE = 0.3
# Rows and columns that are black for more than 1 - EDGE are cut off; less than this of the area left is no body.
AREA_LEFT_MIN = 0.4
# The network tells no range. The authors tell its mean error in years.
ERROR_YEARS, ERROR_BODY_ONLY_YEARS = 4.24, 6.87
_KEYS = ("min_age", "max_age", "avg_age", "input_size")


class MivoloAttributes:
    """Raises: Mismatch, for a network of another shape or without the constants."""

    def __init__(self, network: Network, files: Mapping[str, object]) -> None:
        self._min, self._max, self._mean, side = (_number(network, key) for key in _KEYS)
        self._side_px = int(side)
        require_signature(network, inputs=[(None, 6, self._side_px, self._side_px)], outputs=[(None, 3)])
        self._network, self._files = network, files
        network.warm_up((6, self._side_px, self._side_px))

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "mivolo", **self._files}

    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        """NaN for people of whom neither a face nor enough of a body is seen. Raises: Mismatch, when the network itself gives it."""
        faces = [person.face for person in people]
        bodies = [visible_body(person) for person in people]
        seen = [index for index in range(len(people)) if faces[index] is not None or bodies[index] is not None]
        told = np.full((4, len(people)), np.nan)
        if seen:
            rows = np.concatenate([self._planes([crops[index] for index in seen]) for crops in (faces, bodies)], axis=1)
            found = require_finite(self._network, self._network.run_rows(rows)[0]).astype(np.float64)
            age = np.maximum(0, found[:, 2] * (self._max - self._min) + self._mean)
            errors = [ERROR_BODY_ONLY_YEARS if faces[index] is None else ERROR_YEARS for index in seen]
            around = RANGE_OF_ERROR * np.array(errors)
            female = softmax(found[:, :2])[:, FEMALE]
            told[:, seen] = np.stack([age, np.maximum(0, age - around), age + around, female])
        return Attributes(age=told[0], age_low=told[1], age_high=told[2], female=told[3])

    def _planes(self, crops: Sequence[Pixels | None]) -> NDArray[np.float32]:
        # A missing crop is a black picture, which the normalisation does not leave at zero.
        black = np.zeros((self._side_px, self._side_px, 3), np.uint8)
        return imagenet_planes(
            [black if crop is None else letterbox(crop, self._side_px, self._side_px, fill=0)[0] for crop in crops]
        )


def visible_body(person: PersonCrop) -> Pixels | None:
    """The body with the other people and all faces inside it blacked out; None when too little of it is left."""
    if person.body is None or min(person.body.shape[:2]) < BODY_SIDE_MIN_PX:
        return None
    if not person.others and not person.faces:
        return person.body
    body = person.body.copy()
    height, width = body.shape[:2]
    for box in (*(_to_edges(each, width, height) for each in person.others), *person.faces):
        inside = box.clip(width, height)
        body[int(inside.top) : int(inside.bottom), int(inside.left) : int(inside.right)] = 0
    return _without_black_edges(body)


def _to_edges(box: Box, width: int, height: int) -> Box:
    left = 0.0 if box.left < EDGE * width else box.left
    top = 0.0 if box.top < EDGE * height else box.top
    right = float(width) if width - box.right < EDGE * width else box.right
    bottom = float(height) if height - box.bottom < EDGE * height else box.bottom
    return Box(left, top, right - left, bottom - top)


def _without_black_edges(body: Pixels) -> Pixels | None:
    is_black = ~body.any(axis=2)
    # Rows too are compared with the height: so was the network trained.
    limit = (1 - EDGE) * body.shape[0]
    rows, columns = (np.flatnonzero(is_black.sum(axis=axis) <= limit) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    left = body[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return left if left.shape[0] * left.shape[1] >= AREA_LEFT_MIN * body.shape[0] * body.shape[1] else None


def _number(network: Network, key: str) -> float:
    text = network.metadata.get(key)
    try:
        value = float(text) if text is not None else np.nan
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        said = "no metadata" if text is None else f"the metadata `{key}` = `{text[:40]}` in place of a number for"
        raise Mismatch(
            "model-metadata",
            f"`{network.path}` has {said} `{key}`",
            hint=f"Write {', '.join(f'`{each}`' for each in _KEYS)} of the checkpoint into the file when you export it",
        )
    return float(value)
