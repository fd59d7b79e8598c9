"""What the models take and give: numpy in, numpy or plain values out, batches first.

Every call may come from several threads at once; a model that cannot run twice at a time takes turns by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.geometry import Box

Pixels = NDArray[np.uint8]

# Orientations are told as probabilities of this many equal sectors, the first around 0 degrees.
SECTORS = 72


class Label(StrEnum):
    PERSON = "person"
    FACE = "face"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One box in pixels of its picture; `score` is on the scale of `source`, not a probability."""

    label: Label
    box: Box
    score: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """What a detector's scores of people are worth to the tracker, on the detector's own scale.

    A person of at least `new` begins a track and of at least `high` continues one; below that, of at least `low`, it continues
    only a track that nothing better continues. `scale` is the largest score there is, None where scores have no end; where there is
    one, the tracker weighs the overlap of boxes by score / `scale`.
    """

    high: float
    low: float
    new: float
    scale: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCrop:
    """One human, cut out of a frame at full resolution: uint8 (height, width, 3) BGR, or None for what is not seen.

    `others` are the boxes of other people inside `body`, in its pixels, and `faces` those of all faces there, their own included.
    """

    face: Pixels | None
    body: Pixels | None
    others: tuple[Box, ...] = ()
    faces: tuple[Box, ...] = ()


# The mean error in years times this holds 80 % of a normal distribution, which is what a range of ages is to hold.
RANGE_OF_ERROR = 1.606


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Estimates for n people: years (expectation, 10 % and 90 % quantile) and the probability of `female`; NaN = cannot tell."""

    age: NDArray[np.float64]
    age_low: NDArray[np.float64]
    age_high: NDArray[np.float64]
    female: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = {each.shape for each in (self.age, self.age_low, self.age_high, self.female)}
        if len(shapes) != 1 or self.age.ndim != 1:
            message = f"Attributes need four arrays of one shape (n,), got {sorted(shapes)}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What a picture shows, in words; `finished` is False when it was ended before it came to its own end."""

    text: str
    tokens: int
    finished: bool


class Described(Protocol):
    @property
    def description(self) -> Mapping[str, object]:
        """What the result document says about this model: `name`, and the entries of its files by role."""


class Detector(Described, Protocol):
    @property
    def side_px(self) -> int:
        """Pictures reach the detector with no side longer than this."""

    @property
    def confidence(self) -> Confidence:
        """Thresholds of the scores that it gives to people."""

    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        """Find people and faces in uint8 (height, width, 3) BGR pictures, one list per picture, in a stable order."""


class AttributeModel(Described, Protocol):
    def predict(self, people: Sequence[PersonCrop]) -> Attributes:
        """Estimate age and gender, one row per person."""


class OrientationModel(Described, Protocol):
    def predict(self, bodies: Sequence[Pixels]) -> NDArray[np.float32]:
        """Probabilities (n, `SECTORS`) of the direction that each body faces; sector k is around k * 360 / `SECTORS` degrees."""


class Captioner(Described, Protocol):
    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption | None:
        """Describe one BGR picture; stops at `max_tokens`, or once `is_over()`, which is asked before each token.

        None, from then on always, when the captioner was given up because the other models lacked memory.
        """


class Embedder(Described, Protocol):
    @property
    def space(self) -> str:
        """Name of the vectors' space; vectors of different spaces are never compared."""

    @property
    def dimension(self) -> int:
        """Length of each vector."""

    def embed(self, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
        """Describe BGR pictures by vectors (n, `dimension`) of L2 norm 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The models of one process, loaded once; None = this part of the analysis is left out."""

    detector: Detector
    embedder: Embedder
    attributes: AttributeModel | None = None
    orientation: OrientationModel | None = None
    captioner: Captioner | None = None
