"""Times of packets, as the file tells them and as they are believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from types import SimpleNamespace

import pytest

from analyzer.video import shown
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


# Times of showing and of decoding, in milliseconds.
_EVEN = tuple((40 * index + 80, 40 * index) for index in range(40))


@pytest.mark.parametrize("index", [0, 20, 39])
def test_a_picture_that_is_shown_long_after_those_behind_it_lies(index: int) -> None:
    lying = [*_EVEN[:index], (3_600_000, 40 * index), *_EVEN[index + 1 :]]
    assert _shown(lying, end=1600) == [pts for pts, _ in _EVEN]


@pytest.mark.parametrize(
    ("times", "end"),
    [
        # A pause, before which the first picture behind it is stored; at the end of the file, too.
        ((*_EVEN, (9680, 1600), (9600, 1640), (9640, 9600), *((pts + 9680, dts + 9680) for pts, dts in _EVEN)), None),
        ((*_EVEN, (9640, 1600)), 9680),
        # As many pictures between two of which others need as an encoder may put there, all of which are kept.
        ([(40 * (index + (17 if index % 17 == 0 else 0)), 40 * (index - 1)) for index in range(99)], None),
        # Everything is shown late, or is only shown, or only decoded.
        ([(pts + 20_000 + 40 * (index % 3), dts) for index, (pts, dts) in enumerate(_EVEN)], None),
        ([(pts, None) for pts, _ in _EVEN], None),
        ([(None, dts) for _, dts in _EVEN], None),
    ],
)
def test_honest_times_of_showing_are_believed(times: Sequence[tuple[int | None, int | None]], end: int | None) -> None:
    assert _shown(times, end) == [pts for pts, _ in times]


def _shown(times: Iterable[tuple[int | None, int | None]], end: int | None) -> list[int | None]:
    packets = (SimpleNamespace(pts=pts, dts=dts) for pts, dts in times)
    end_pts = None if end is None else Fraction(end)
    return [packet.pts for packet in shown.soon(packets, Fraction(1, 1000), Fraction(40), end_pts)]
