"""A job in this process: a detector of the test's own, and what a run says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analyzer.backends.base import Backends, Confidence, Detection, Label, Pixels
from analyzer.backends.choose import choose_backends
from analyzer.contract import ModelSettings
from analyzer.geometry import Box
from analyzer.manifest import ModelSet

ClipMaker = Callable[..., Path]
SetMaker = Callable[..., str]


class OnePerson:
    """Sees one person with a face, always at the same place."""

    description: Mapping[str, object] = {"name": "opencv"}
    side_px = 640
    confidence = Confidence(high=1, low=1, new=1)

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        found = [
            Detection(label=Label.PERSON, box=Box(10, 10, 60, 100), score=1.25, source="hog-scan"),
            Detection(label=Label.FACE, box=Box(25, 15, 30, 30), score=50.0, source="haar-face"),
        ]
        return [found for _ in pictures]


def seeing_one_person(_name: str, model_set: ModelSet, settings: ModelSettings) -> Backends:
    return replace(choose_backends("null", model_set, settings), detector=OnePerson())


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
