"""People and faces by a YOLO person/face network in the layout that ultralytics exports.

Input `images` (n, 3, height, width), RGB, 0 to 1, letterboxed with grey 114; output (n, 4 + classes, anchors): centre, width and height in
pixels of the letterbox, then one score per class, already a sigmoid. The names of the classes are metadata of the file, as text of a
Python dict. Source: the exporter's documentation; written from the format, not from its code.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import Confidence, Detection, Label, Pixels
from analyzer.backends.onnx.letterbox import Placement, letterbox, planes
from analyzer.backends.onnx.session import Network, require_finite
from analyzer.backends.onnx.signature import require_signature
from analyzer.errors import Mismatch
from analyzer.geometry import Box

FILL = 114
# MiVOLO's thresholds for this network. Weaker people are told too, from `low` on: a track may go on with them.
CONFIDENCE = Confidence(high=0.4, low=0.1, new=0.4, scale=1.0)
FACE_MIN = 0.4
IOU_SAME = 0.7
# Per picture: what goes into the suppression, and what may come out of it.
CANDIDATES_MAX = 30_000
DETECTIONS_MAX = 300
SOURCE = "yolo"
_HINT = "Export it with `yolo export format=onnx dynamic=True`, which writes names, stride and imgsz into the file"


class YoloDetector:
    """Raises: Mismatch, for a network without the metadata, without the classes `person` and `face`, or of another shape."""

    def __init__(self, network: Network, files: Mapping[str, object]) -> None:
        names = _metadata(network, "names")
        labels = {index: Label(name) for index, name in _items(names) if name in set(Label)}
        if set(labels.values()) != set(Label):
            raise Mismatch(
                "model-metadata",
                f"`{network.path}` has the classes `{names}`, expected `person` and `face` among them",
                hint="Use a network that was trained on people and faces",
            )
        require_signature(network, inputs=[(None, 3, None, None)], outputs=[(None, 4 + len(names), None)])
        self._network, self._labels, self._files = network, labels, files
        fixed = next(iter(network.inputs.values())).shape[2:]
        self._height, self._width = (one or other for one, other in zip(fixed, _size(network), strict=True))
        network.warm_up((3, self._height, self._width))

    @property
    def side_px(self) -> int:
        return max(self._width, self._height)

    @property
    def confidence(self) -> Confidence:
        return CONFIDENCE

    @property
    def description(self) -> Mapping[str, object]:
        score = f"probability, people from {CONFIDENCE.low:g}, faces from {FACE_MIN:g}"
        return {
            "name": "yolo",
            "sources": {SOURCE: {"finds": "person, face", "method": "YOLO person/face network", "score": score}},
            **self._files,
        }

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        """Raises: Mismatch, when the network gives what is no number."""
        if not pictures:
            return []
        squares, placements = zip(
            *(letterbox(each, self._width, self._height, fill=FILL) for each in pictures), strict=True
        )
        told = require_finite(self._network, self._network.run_rows(planes(squares))[0])
        return [
            self._read(row, placement, picture)
            for row, placement, picture in zip(told, placements, pictures, strict=True)
        ]

    def _read(self, row: NDArray[Any], placement: Placement, picture: Pixels) -> list[Detection]:
        """Detections of one picture: people, then faces, each from left to right."""
        scores = row[4:]
        classes = np.argmax(scores, axis=0)
        best = np.take_along_axis(scores, classes[None], axis=0)[0]
        found: list[Detection] = []
        for label, least in ((Label.PERSON, CONFIDENCE.low), (Label.FACE, FACE_MIN)):
            wanted = np.isin(classes, [index for index, each in self._labels.items() if each is label])
            chosen = np.flatnonzero(wanted & (best >= least))
            chosen = chosen[np.argsort(-best[chosen], kind="stable")][:CANDIDATES_MAX]
            corners = _corners(row[:4, chosen].T)
            for index in suppress(corners, IOU_SAME)[:DETECTIONS_MAX]:
                left, top, right, bottom = map(float, corners[index])
                box = placement.restore(Box(left, top, right - left, bottom - top))
                score = round(float(best[chosen[index]]), 4)
                clipped = box.clip(picture.shape[1], picture.shape[0])
                if clipped.area > 0:
                    found.append(Detection(label=label, box=clipped, score=score, source=SOURCE))
        return sorted(found, key=lambda each: (each.label is Label.FACE, each.box.left, each.box.top, -each.score))


def suppress(corners: NDArray[Any], iou_same: float) -> list[int]:
    """Non-maximum suppression over boxes (n, 4) as left, top, right, bottom, best first: indexes of those that stay.

    There is no limit of time: a crowded picture takes longer and loses nothing.
    """
    areas = np.prod(np.clip(corners[:, 2:] - corners[:, :2], 0, None), axis=1)
    left, kept = np.arange(len(corners)), []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        sides = np.minimum(corners[first, 2:], corners[rest, 2:]) - np.maximum(corners[first, :2], corners[rest, :2])
        shared = np.prod(np.clip(sides, 0, None), axis=1)
        union = np.maximum(areas[first] + areas[rest] - shared, 1e-9)
        left = rest[shared / union <= iou_same]
    return kept


def _corners(boxes: NDArray[Any]) -> NDArray[np.float64]:
    centre, half = np.asarray(boxes[:, :2], np.float64), np.asarray(boxes[:, 2:], np.float64) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _metadata(network: Network, key: str) -> Any:
    try:
        # The text comes from a file: it may name values, never do anything.
        return ast.literal_eval(network.metadata[key])
    except KeyError as error:
        raise Mismatch("model-metadata", f"`{network.path}` has no metadata `{key}`", hint=_HINT) from error
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        text = network.metadata[key][:80]
        raise Mismatch(
            "model-metadata",
            f"`{network.path}` has the metadata `{key}` = `{text}`, which is no plain value",
            hint=_HINT,
        ) from error


def _items(names: Any) -> list[tuple[int, str]]:
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ()
    return [(int(index), str(name)) for index, name in pairs]


def _size(network: Network) -> tuple[int, int]:
    """Height and width in pixels."""
    size = _metadata(network, "imgsz")
    sides = [size, size] if isinstance(size, int) else size
    is_size = isinstance(sides, list | tuple) and len(sides) == 2
    if not is_size or not all(isinstance(each, int) and 32 <= each <= 4096 for each in sides):
        raise Mismatch("model-metadata", f"`{network.path}` has the metadata `imgsz` = `{size}`", hint=_HINT)
    return sides[0], sides[1]
