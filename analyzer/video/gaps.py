"""Where packets are missing in a file that nothing else tells to be damaged: a lost cluster of Matroska leaves only a gap.

An honest pause must not be taken for one. Most tell how long they last in the duration of the packet before them (always in MP4), come
in streams whose pictures do not follow each other evenly (screens, slides, cameras with a rate of their own), or end with a picture that
needs the ones before it. Here pictures are even before the hole as behind it, and either it ends at a keyframe, where demuxers mostly
find their place again, or the file has about as many bytes there as the missing pictures would take.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from analyzer.video.clock import time_of

# Less is within what a result may miss and still be called whole (`coverage.SLACK_MS`).
GAP_MIN_S = Fraction(1, 2)
# So many pictures must follow each other evenly on either side.
BEFORE, AFTER = 24, 8
# Where a stretch of the file begins or ends, so many of the pictures nearest in time may lie beyond, because they are stored in another
# order than shown.
EDGE = 4
# Containers that count milliseconds round steps by one of them.
ROUNDING_S = Fraction(2, 1000)


@dataclass(frozen=True, slots=True)
class Gap:
    """No picture is shown between these times, in units of the stream."""

    start_pts: int
    end_pts: int


class GapFinder:
    """Reads packets in the order of the file; what it finds depends on nothing else."""

    def __init__(self, time_base: Fraction) -> None:
        self._least = GAP_MIN_S / time_base
        self._rounding = max(Fraction(1), ROUNDING_S / time_base)
        # Times of the newest packets, and when the last of them ends.
        self._before: deque[int] = deque(maxlen=BEFORE + 2 * EDGE)
        self._ends: deque[int] = deque(maxlen=BEFORE + 2 * EDGE)
        self._bytes = _Bytes()
        # Those behind what may be a gap.
        self._after: list[int] = []
        self._after_ends: list[int] = []

    def read(self, packet: Any) -> Gap | None:
        """The gap that is certain now, which lies a few packets back; None mostly."""
        time = time_of(packet)
        if time is None or not packet.size:
            return None
        if self._after or self._opens(packet, time):
            self._after.append(time)
            self._after_ends.append(time + (packet.duration or 0))
            return self._judge() if len(self._after) == AFTER + 2 * EDGE else None
        self._before.append(time)
        self._ends.append(time + (packet.duration or 0))
        self._bytes.add(packet, time)
        return None

    def _opens(self, packet: Any, time: int) -> bool:
        if len(self._before) < BEFORE + 2 * EDGE or time - max(self._ends) <= self._least:
            return False
        return packet.is_keyframe or self._bytes.are_skipped(packet, time - max(self._ends))

    def _judge(self) -> Gap | None:
        parts = (sorted(self._before)[EDGE:-EDGE], sorted(self._after)[EDGE:-EDGE])
        steps = [later - earlier for part in parts for earlier, later in pairwise(part)]
        gap = Gap(max(*self._ends, max(self._before) + max(steps)), min(self._after))
        self._before.extend(self._after)
        self._ends.extend(self._after_ends)
        self._after, self._after_ends = [], []
        is_even = max(steps) - min(steps) <= self._rounding
        is_long = gap.end_pts - gap.start_pts > max(self._least, Fraction(2 * max(steps)))
        return gap if is_even and is_long else None


class _Bytes:
    """How many bytes of the file a unit of time takes, for pictures and for what lies between them."""

    def __init__(self) -> None:
        self._pictures = 0
        # Place and time of the first packet; place behind the last one, and its time.
        self._first: tuple[int, int] | None = None
        self._last = (0, 0)

    def add(self, packet: Any, time: int) -> None:
        if packet.pos is None:
            return
        self._first = self._first or (packet.pos, time)
        self._last = (packet.pos + packet.size, time)
        self._pictures += packet.size

    def are_skipped(self, packet: Any, length: int) -> bool:
        """Whether more lies before `packet` than sound and the like take in that time, and half of the pictures."""
        if packet.pos is None or self._first is None or self._last[1] <= self._first[1]:
            return False
        rest = self._last[0] - self._first[0] - self._pictures
        expected = Fraction(rest + self._pictures // 2, self._last[1] - self._first[1]) * length
        return bool(packet.pos - self._last[0] > expected)
