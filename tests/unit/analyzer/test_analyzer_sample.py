from __future__ import annotations

from fractions import Fraction

from analyzer.sample import RateSampler


def test_sampler_takes_the_first_frame_of_each_cell() -> None:
    sampler = RateSampler(2)
    taken = [ms for ms in range(0, 2000, 40) if sampler.takes(Fraction(ms, 1000))]
    assert taken == [0, 520, 1000, 1520]


def test_sampler_follows_time_across_a_gap() -> None:
    sampler = RateSampler(2)
    times = [0, 100, 200, 5100, 5200, 5600]
    assert [ms for ms in times if sampler.takes(Fraction(ms, 1000))] == [0, 5100, 5600]
