"""Packets with times that go on: what has none gets one, what lies is corrected, and what jumps is joined."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

# Times of neighbours in a file differ by less than this, unless something is missing or wrong.
FORWARD_S = 10
BACKWARD_S = 1
# No gap that anybody films is longer.
GAP_MAX_S = 12 * 3600


def time_of(packet: Any) -> int | None:
    """When a packet's picture is shown, or, where the file does not say, when it is decoded; in units of its stream."""
    pts: int | None = packet.dts if packet.pts is None else packet.pts
    return pts


def steady(
    packets: Iterator[Any], time_base: Fraction, frame_duration: Fraction, end_pts: Fraction | None
) -> Iterator[Any]:
    """The packets, in units of `time_base`, whose frames last `frame_duration` where they do not say themselves.

    A single time that is far from its neighbours is replaced; the last of all is believed if it comes before the container's end,
    `end_pts`. Where all later times are before the earlier ones (a recording that was
    appended to another, a counter that wraps), or later by more than half a day, they are moved so that they follow, until times follow
    as they are written (a damaged head of a cluster). The same file gives the same times, wherever reading began to matter.
    """
    clock = _Clock(time_base, frame_duration, end_pts)
    held: Any = None
    for packet in packets:
        if held is not None:
            clock.join(held, following=packet)
            yield held
            held = None
        if clock.jumps(packet):
            held = packet
            continue
        clock.go_on(packet)
        yield packet
    if held is not None:
        clock.join(held, following=None)
        yield held


class _Clock:
    def __init__(self, time_base: Fraction, frame_duration: Fraction, end_pts: Fraction | None) -> None:
        self._forward, self._backward = FORWARD_S / time_base, BACKWARD_S / time_base
        self._gap_max = GAP_MAX_S / time_base
        self._frame_duration = frame_duration
        # Containers round their duration, and the order of decoding runs ahead of that of showing.
        self._end = None if end_pts is None else end_pts + self._backward
        self._last: int | None = None
        # Whether that was a time of decoding; these never fall back by much, where pictures are shown in another order than stored.
        self._last_is_dts = False
        self._next = 0
        self._offset = 0

    def jumps(self, packet: Any) -> bool:
        time = self._time(packet)
        if self._last is None or time is None:
            return False
        is_ordered = self._last_is_dts and packet.dts is not None
        backward = min(self._backward, 2 * self._frame_duration) if is_ordered else self._backward
        return not self._last - backward <= time <= self._next + self._forward

    def go_on(self, packet: Any) -> None:
        """Take the packet's time as it is, or give it the one that follows."""
        self._return(packet)
        time = self._time(packet)
        if time is None:
            if packet.size:
                packet.dts = self._next
                self._reach(packet, self._next)
            return
        self._move(packet, self._offset)
        self._reach(packet, time)

    def join(self, packet: Any, *, following: Any) -> None:
        """Take a packet that jumps; the one behind it tells whether the times go on from there."""
        time, after = self._time(packet), None if following is None else self._time(following)
        assert time is not None
        assert self._last is not None
        if after is None:
            is_alone = time < self._last or self._end is None or time - self._offset > self._end
        else:
            is_alone = self._last <= after < time if time > self._last else after >= self._last
        if is_alone:
            self._move(packet, self._next - (time - self._offset))
            self._reach(packet, self._next)
            return
        if not self._last < time <= self._last + self._gap_max:
            self._offset += self._next - time
        self.go_on(packet)

    def _return(self, packet: Any) -> None:
        time = self._time(packet)
        if time is None or not self._offset:
            return
        written, frame = time - self._offset, self._frame_duration
        if abs(written - self._next) <= frame < abs(time - self._next):
            self._offset = 0

    def _time(self, packet: Any) -> int | None:
        time: int | None = packet.pts if packet.dts is None else packet.dts
        return None if time is None else time + self._offset

    def _reach(self, packet: Any, time: int) -> None:
        self._last, self._last_is_dts = time, packet.dts is not None
        self._next = time + (packet.duration or round(self._frame_duration))

    @staticmethod
    def _move(packet: Any, by: int) -> None:
        if not by:
            return
        # Both, so that the order in which frames are shown stays.
        for name in ("pts", "dts"):
            value = getattr(packet, name)
            if value is not None:
                setattr(packet, name, value + by)
