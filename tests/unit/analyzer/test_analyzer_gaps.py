"""Holes in a video's time: which of them are gaps, and which are how it was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import SimpleNamespace

import pytest

from analyzer.video.gaps import GapFinder


def _packets(times: Iterable[int], keys: int, duration: int, *, hole: int = 0) -> Iterator[SimpleNamespace]:
    """A byte per unit of time, as much again for sound, and `hole` bytes more in the middle."""
    for index, pts in enumerate(times):
        yield SimpleNamespace(
            pts=pts,
            dts=pts,
            duration=duration,
            pos=80 * index + (index >= 50) * hole,
            size=40,
            is_keyframe=index % keys == 0,
        )


def _reordered(start: int, end: int) -> list[int]:
    """Every third picture is stored before the two that are shown before it; of the last one these are lost."""
    times = [start, *(pts + shift for pts in range(start, end, 120) for shift in (120, 40, 80))]
    return [*times[:-2], end + 120]


def test_a_pause_in_a_group_of_pictures_is_a_gap_if_the_file_has_the_bytes() -> None:
    times = (*range(0, 2000, 40), *range(5000, 7000, 40))
    for hole, count in ((4400, 0), (4600, 1)):
        finder = GapFinder(Fraction(1, 1000))
        assert sum(finder.read(each) is not None for each in _packets(times, 60, 40, hole=hole)) == count


@pytest.mark.parametrize(
    ("times", "keys", "duration", "gaps"),
    [
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 40, [(2000, 5000)]),
        # Packets that do not tell how long they last.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 0, [(2000, 5000)]),
        # Those that do.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 50, 3040, []),
        # A pause that ends in the middle of a group of pictures.
        ((*range(0, 2000, 40), *range(5000, 7000, 40)), 60, 40, []),
        # Stored in another order than shown, with a picture missing on either side.
        ((*_reordered(0, 2000), *_reordered(5000, 7000)), 51, 40, [(2160, 5000)]),
        # A rate that changes all the time; slides; one picture long after the others; hardly a gap.
        ((*[pts + pts % 7 for pts in range(0, 2000, 40)], *range(5000, 7000, 40)), 50, 40, []),
        ([5000 * index for index in range(99)], 1, 40, []),
        ((*range(0, 2000, 40), 5000), 50, 40, []),
        ((*range(0, 2000, 40), *range(2400, 4400, 40)), 50, 40, []),
    ],
)
def test_only_a_hole_between_even_pictures_is_a_gap(
    times: Iterable[int], keys: int, duration: int, gaps: list[tuple[int, int]]
) -> None:
    finder = GapFinder(Fraction(1, 1000))
    found = [gap for packet in _packets(times, keys, duration) if (gap := finder.read(packet))]
    assert [(gap.start_pts, gap.end_pts) for gap in found] == gaps
