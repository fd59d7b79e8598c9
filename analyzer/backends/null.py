"""A detector that finds nothing: probe, decode and store can be tried alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.backends.base import Detection, Pixels


class NullDetector:
    @property
    def description(self) -> Mapping[str, object]:
        return {"name": "null"}

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        return [[] for _ in pictures]
