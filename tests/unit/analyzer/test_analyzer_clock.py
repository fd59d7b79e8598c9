"""Times of packets, as the file tells them and as they are believed."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from types import SimpleNamespace

import pytest

from analyzer.video.clock import steady


def _believed(times: Iterable[int | None], end: int | None) -> list[int | None]:
    packets = (SimpleNamespace(pts=pts, dts=pts, duration=100, size=int(pts is not None)) for pts in times)
    end_pts = None if end is None else Fraction(end)
    return [packet.pts for packet in steady(packets, Fraction(1, 1000), Fraction(100), end_pts)]


@pytest.mark.parametrize(
    ("last", "end", "believed"),
    [
        (65_000, 65_100, 65_000),
        # What else is in the file lasts longer; the container rounds.
        (65_000, 90_000, 65_000),
        (65_000, 64_900, 65_000),
        # The time is a lie, or nobody knows.
        (65_000, 6000, 300),
        (65_000, None, 300),
        (-65_000, 65_100, 300),
    ],
)
@pytest.mark.parametrize("behind", [[], [None]])
def test_a_last_time_far_behind_the_others_is_believed_before_the_end_of_the_container(
    last: int, end: int | None, believed: int, behind: list[None]
) -> None:
    assert _believed([0, 100, 200, last, *behind], end) == [0, 100, 200, believed, *behind]
