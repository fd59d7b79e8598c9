from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.aggregate import (
    aggregate_attributes,
    aggregate_orientation,
    attribute_samples,
    orientation_samples,
)
from analyzer.backends.base import SECTORS, Attributes

NAN = math.nan
UNSURE = np.full(SECTORS, 1 / SECTORS, np.float32)


def estimates(ages: list[float], female: list[float], *, spread: float = 3) -> Attributes:
    age = np.array(ages, np.float64)
    return Attributes(age=age, age_low=age - spread, age_high=age + spread, female=np.array(female, np.float64))


def facing(degrees: float, *, certainty: float = 1.0) -> np.ndarray:
    sectors = (1 - certainty) * UNSURE
    sectors[round(degrees / 360 * SECTORS) % SECTORS] += certainty
    return sectors


def direction(*samples: np.ndarray) -> tuple[float, float]:
    found = aggregate_orientation(orientation_samples(np.stack(samples)))
    assert found is not None
    return found.degrees, found.confidence


def test_few_ages_give_their_median_and_many_a_mean_that_one_wild_crop_hardly_moves() -> None:
    few = aggregate_attributes(attribute_samples(estimates([30, 31, 32, 33, 78], [0.9] * 5)))
    many = aggregate_attributes(attribute_samples(estimates([30.0] * 6 + [32.0] * 3 + [95.0], [0.9] * 10)))
    assert few is not None
    assert (few.age_mean, few.age_low, few.age_high, few.samples) == (32.0, 29.0, 35.0, 5)
    assert many is not None
    # Median 30; 95 counts as 36.
    assert many.age_mean == pytest.approx((6 * 30 + 3 * 32 + 36) / 10, abs=0.05)
    assert (many.age_low, many.age_high) == (27.0, 33.0)


def test_crops_that_are_sure_outvote_those_that_are_not() -> None:
    found = aggregate_attributes(attribute_samples(estimates([40] * 4, [0.45, 0.45, 0.45, 0.99])))
    assert found is not None
    assert found.gender == "female"
    weights, values = np.array([0.1, 0.1, 0.1, 0.98]), np.array([0.45, 0.45, 0.45, 0.99])
    assert found.gender_confidence == pytest.approx(float(weights @ values / weights.sum()), abs=1e-4)
    alone = aggregate_attributes(attribute_samples(estimates([40], [0.1])))
    assert alone is not None
    assert (alone.gender, alone.gender_confidence) == ("male", 0.9)


def test_what_a_model_cannot_tell_is_left_out() -> None:
    found = aggregate_attributes(attribute_samples(estimates([NAN, 20, 24, NAN], [NAN, NAN, NAN, 0.8])))
    assert found is not None
    assert (found.age_mean, found.gender, found.samples) == (22.0, "female", 3)
    assert aggregate_attributes(attribute_samples(estimates([NAN], [NAN]))) is None
    assert aggregate_attributes([]) is None
    ageless = aggregate_attributes(attribute_samples(estimates([NAN], [0.3])))
    assert ageless is not None
    assert (ageless.age_mean, ageless.age_low, ageless.age_high, ageless.gender) == (None, None, None, "male")
    rangeless = aggregate_attributes([(30.0, None, None, None), (34.0, None, None, None)])
    assert rangeless is not None
    assert (rangeless.age_low, rangeless.age_mean, rangeless.age_high, rangeless.gender) == (32.0, 32.0, 32.0, None)


def test_directions_meet_across_zero() -> None:
    assert direction(facing(355), facing(5))[0] in (0.0, 360.0)
    degrees, confidence = direction(facing(355), facing(5))
    assert confidence == pytest.approx(math.cos(math.radians(5)), abs=1e-3)
    assert degrees == 0.0


def test_unsure_directions_weigh_little_and_lower_the_confidence() -> None:
    sure, half = direction(facing(90)), direction(facing(90), UNSURE)
    assert sure == (90.0, 1.0)
    assert half == (90.0, pytest.approx(0.5, abs=1e-3))
    degrees, _ = direction(facing(90), facing(180, certainty=0.1))
    assert degrees < 97


def test_opposite_and_missing_directions_tell_nothing() -> None:
    assert aggregate_orientation(orientation_samples(np.stack([facing(0), facing(180)]))) is None
    assert aggregate_orientation(orientation_samples(np.full((2, SECTORS), NAN, np.float32))) is None
    assert aggregate_orientation([]) is None


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=20),
    st.integers(0, SECTORS - 1),
    st.randoms(use_true_random=False),
)
def test_result_depends_on_the_samples_alone(pairs: list[tuple[float, float]], turn: int, random: object) -> None:
    samples = attribute_samples(estimates([age for age, _ in pairs], [female for _, female in pairs]))
    whole = aggregate_attributes(samples)
    assert whole is not None
    assert whole.age_low is not None
    assert whole.age_mean is not None
    assert whole.age_high is not None
    assert whole.age_low <= whole.age_mean <= whole.age_high
    assert 0.5 <= (whole.gender_confidence or 0) <= 1
    kept = json.loads(json.dumps(samples))
    random.shuffle(kept)  # type: ignore[attr-defined]
    assert aggregate_attributes(kept) == whole
    # Turning everybody by a sector turns the answer by as much.
    rows = np.stack([facing(age, certainty=0.5 + female / 2) for age, female in pairs])
    before, after = (
        aggregate_orientation(json.loads(json.dumps(orientation_samples(np.roll(rows, by, axis=1)))))
        for by in (0, turn)
    )
    assert before is not None
    assert after is not None
    apart = (after.degrees - before.degrees - turn * 360 / SECTORS) % 360
    assert min(apart, 360 - apart) < 0.25
    assert after.confidence == pytest.approx(before.confidence, abs=1e-3)
