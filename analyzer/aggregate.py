"""One estimate per track out of several crops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyzer.backends.base import Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackAttributes:
    """Age in years and gender of one track, from `samples` crops; `confidence` is 0.5..1."""

    age_mean: float
    age_low: float
    age_high: float
    gender: str
    gender_confidence: float
    samples: int


def aggregate(attributes: Attributes) -> TrackAttributes | None:
    """Median of the crops' ages and ranges, mean of their gender probabilities; None without crops.

    The median keeps one blurred or half-turned face from moving the age.
    """
    samples = len(attributes.age)
    if samples == 0:
        return None
    female = float(np.mean(attributes.female))
    mean = float(np.median(attributes.age))
    return TrackAttributes(
        age_mean=round(mean, 1),
        age_low=round(min(mean, float(np.median(attributes.age_low))), 1),
        age_high=round(max(mean, float(np.median(attributes.age_high))), 1),
        gender="female" if female >= 0.5 else "male",
        gender_confidence=round(max(female, 1 - female), 4),
        samples=samples,
    )
