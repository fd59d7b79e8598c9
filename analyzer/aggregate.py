"""One estimate per track out of several crops, which may come from several segments of the video.

Samples are plain values that JSON keeps as they are, None for what a model cannot tell; every result depends on the samples alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from analyzer.backends.base import SECTORS, Attributes

# Of so many ages and more, each counts by as much as it is within so many years of their median: one blurred or half-turned face then
# does not move the mean. Fewer say too little about the median, which then is the age. Source: MiVOLO, `aggregate_votes_winsorized`.
WINSORISED_SAMPLES = 10
WINSORISED_YEARS = 6.0

# Years (expectation, 10 % and 90 % quantile) and the probability of `female`.
AttributeSample = Sequence[float | None]
# Where one body faces, as the mean of its sectors' unit vectors: east and north of it, of a length from 0 (anywhere) to 1 (certain).
OrientationSample = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackAttributes:
    """Age in years and gender of one track, from `samples` crops; None = no crop tells. `gender_confidence` is 0.5..1."""

    age_mean: float | None
    age_low: float | None
    age_high: float | None
    gender: str | None
    gender_confidence: float | None
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackOrientation:
    """Degrees that a track's human faces, 0 <= `degrees` < 360; `confidence` is 0..1, 0 for one who turns all around."""

    degrees: float
    confidence: float
    samples: int


def attribute_samples(attributes: Attributes) -> list[AttributeSample]:
    """One sample per crop."""
    columns = (attributes.age, attributes.age_low, attributes.age_high, attributes.female)
    return [tuple(None if math.isnan(value) else float(value) for value in row) for row in zip(*columns, strict=True)]


def aggregate_attributes(samples: Sequence[AttributeSample]) -> TrackAttributes | None:
    """Age and gender; None when no sample tells either."""
    told = [sample for sample in samples if sample[0] is not None or sample[3] is not None]
    if not told:
        return None
    ages, lows, highs, female = (_told(told, column) for column in range(4))
    mean = _winsorised_mean(ages) if ages else None
    probability = _weighted_vote(female) if female else None
    return TrackAttributes(
        age_mean=_rounded(mean),
        age_low=_rounded(_bound(mean, lows or ages, min)),
        age_high=_rounded(_bound(mean, highs or ages, max)),
        gender=None if probability is None else "female" if probability >= 0.5 else "male",
        gender_confidence=None if probability is None else round(max(probability, 1 - probability), 4),
        samples=len(told),
    )


def orientation_samples(probabilities: NDArray[np.float32]) -> list[OrientationSample]:
    """One sample per row of (n, `SECTORS`); a row that is not all numbers is left out."""
    angles = np.arange(SECTORS) * 2 * np.pi / SECTORS
    weights = probabilities[np.isfinite(probabilities).all(axis=1)].astype(np.float64)
    vectors = weights @ np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return [(float(x), float(y)) for x, y in vectors]


def aggregate_orientation(samples: Sequence[OrientationSample]) -> TrackOrientation | None:
    """The circular mean: an unsure sample is a short vector, so that it weighs little, and 355 and 5 degrees make 0, not 180.

    The length of the mean vector is the confidence: it falls when samples are unsure and when they disagree. None when nothing is
    left of it.
    """
    if not samples:
        return None
    x, y = (math.fsum(sample[axis] for sample in samples) / len(samples) for axis in (0, 1))
    length = math.hypot(x, y)
    if length < 1e-6:
        return None
    return TrackOrientation(
        degrees=round(math.degrees(math.atan2(y, x)) % 360, 1) % 360,
        confidence=round(min(1.0, length), 4),
        samples=len(samples),
    )


def _told(samples: Sequence[AttributeSample], column: int) -> list[float]:
    return sorted(value for sample in samples if (value := sample[column]) is not None)


def _winsorised_mean(ages: Sequence[float]) -> float:
    middle = median(ages)
    if len(ages) < WINSORISED_SAMPLES:
        return middle
    return fmean(min(max(age, middle - WINSORISED_YEARS), middle + WINSORISED_YEARS) for age in ages)


def _bound(mean: float | None, bounds: Sequence[float], outer: Callable[[float, float], float]) -> float | None:
    """The median of the samples' bounds, on the right side of the mean."""
    return None if mean is None else outer(mean, median(bounds))


def _weighted_vote(female: Sequence[float]) -> float:
    """The mean probability of `female`, weighted by how far each is from undecided."""
    weights = [abs(2 * each - 1) for each in female]
    total = math.fsum(weights)
    return math.fsum(weight * each for weight, each in zip(weights, female, strict=True)) / total if total else 0.5


def _rounded(years: float | None) -> float | None:
    return None if years is None else round(years, 1)
