"""A detector that finds nothing: probe, decode and store can be tried alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.backends.base import Confidence, Detection, Pixels


class NullDetector:
    side_px = 64
    confidence = Confidence(high=1, low=1, new=1)

    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "null"}

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        return [[] for _ in pictures]
