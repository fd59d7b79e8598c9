"""What a detector and an attribute model take and give; numpy in, numpy or plain values out, batches first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.geometry import Box

Pixels = NDArray[np.uint8]


class Label(StrEnum):
    PERSON = "person"
    FACE = "face"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One box in pixels of its frame; `score` is on the scale of `source`, not a probability."""

    label: Label
    box: Box
    score: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Estimates for n faces: years (expectation, 10 % and 90 % quantile) and the probability of `female`."""

    age: NDArray[np.float64]
    age_low: NDArray[np.float64]
    age_high: NDArray[np.float64]
    female: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.age, self.age_low, self.age_high, self.female)}
        if len(shapes) != 1 or self.age.ndim != 1:
            message = f"Attributes need four arrays of one shape (n,), got {sorted(shapes)}"
            raise ValueError(message)


class Detector(Protocol):
    @property
    def description(self) -> Mapping[str, object]:
        """What the result document says about this detector."""

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        """Find people and faces in uint8 (height, width, 3) BGR pictures, one list per picture, in a stable order."""


class AttributeModel(Protocol):
    @property
    def description(self) -> Mapping[str, object]:
        """What the result document says about this model, digests of its files included."""

    def predict(self, faces: Sequence[Pixels]) -> Attributes:
        """Estimate age and gender of uint8 (height, width, 3) BGR face crops of any size."""
