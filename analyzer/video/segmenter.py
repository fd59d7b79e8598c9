"""Where segments begin and end, and what belongs to each: the same for a whole run and for one that begins in the middle."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction

from analyzer.video.info import Position, SegmentSummary


class Segmenter:
    """Parts a stream at keyframes, each segment at least `length_ms` long; where none comes for twice as long, between them.

    Packets arrive in the order of the file, frames in the order of their times. A frame belongs to the segment in whose time it
    lies; what is wrong with a packet, or missing between two, to the segment whose packets are being read.
    """

    def __init__(self, position: Position, time_base: Fraction, length_ms: int) -> None:
        self._time_base = time_base
        self._length = Fraction(length_ms, 1000) / time_base
        self.origin_pts, self.first_pts = position.origin_pts, position.start_pts
        # Segments whose first packet was read but whose frames may still be on their way, the oldest first.
        self._open: deque[_Tally] = deque()
        self._keyframe_pts = position.keyframe_pts
        self._append(_Tally(position))

    @property
    def segment(self) -> int:
        """The segment that frames belong to now."""
        return self._open[0].segment

    @property
    def start_ms(self) -> int:
        """Where that segment begins."""
        return self._ms(self._open[0].start_pts)

    def keyframe(self, pts: int) -> None:
        """A keyframe was read from the file; the next segment begins here if the newest is long enough."""
        self._keyframe_pts = pts
        if pts >= self._open[-1].start_pts + self._length:
            self._append_at(pts, None)

    def between_keyframes(self, pts: int) -> None:
        """A packet was read whose time is `latest_pts` or later; the next segment begins here."""
        self._append_at(pts, self._keyframe_pts)

    def _append_at(self, pts: int, decode_pts: int | None) -> None:
        segment = self._open[-1].segment + 1
        self._append(
            _Tally(Position(segment=segment, start_pts=pts, origin_pts=self.origin_pts, decode_pts=decode_pts))
        )

    def _append(self, tally: _Tally) -> None:
        self._open.append(tally)
        # When the newest segment ends at the latest; a whole number, because each packet is compared with it.
        self.latest_pts = math.ceil(tally.start_pts + 2 * self._length)

    def error(self, text: str) -> None:
        self._open[-1].count(text)

    def gap(self, start_pts: int, end_pts: int) -> None:
        """Packets are missing between these times."""
        self._open[-1].gaps.append((self._ms(start_pts), self._ms(end_pts)))

    def read_to(self, end_pts: Fraction) -> None:
        """A packet was read that nobody asked to decode; it ends at `end_pts`."""
        newest = self._open[-1]
        newest.decoded_pts = max(newest.decoded_pts, end_pts)

    def frame(self, pts: Fraction, end_pts: Fraction) -> list[SegmentSummary]:
        """A frame came out, which ends at `end_pts`; returns the segments that end before it."""
        ended = []
        while len(self._open) > 1 and pts >= self._open[1].start_pts:
            ended.append(self._end())
        tally = self._open[0]
        tally.frames += 1
        tally.decoded_pts = max(tally.decoded_pts, end_pts)
        return ended

    def sampled(self) -> None:
        self._open[0].sampled += 1

    def damaged(self, text: str) -> None:
        """The frame that came out last is not what it was."""
        self._open[0].count(text)

    def finish(self) -> list[SegmentSummary]:
        """The file is at its end; returns the segments that are left."""
        ended = []
        while self._open:
            ended.append(self._end())
        return ended

    def _end(self) -> SegmentSummary:
        tally = self._open.popleft()
        following = self._open[0] if self._open else None
        decoded_ms = self._ms(tally.decoded_pts)
        return SegmentSummary(
            segment=tally.segment,
            start_ms=self._ms(tally.start_pts),
            end_ms=self._ms(following.start_pts) if following else max(decoded_ms, self._ms(tally.start_pts)),
            frames=tally.frames,
            sampled_frames=tally.sampled,
            errors=tally.errors,
            first_error=tally.first_error,
            decoded_ms=decoded_ms,
            following=following.position if following else None,
            gaps=tuple(tally.gaps),
        )

    def _ms(self, pts: Fraction | int) -> int:
        return max(0, round(1000 * (pts - self.origin_pts) * self._time_base))


class _Tally:
    def __init__(self, position: Position) -> None:
        self.position = position
        self.segment, self.start_pts = position.segment, position.start_pts
        self.decoded_pts: Fraction = Fraction(position.start_pts)
        self.frames = self.sampled = self.errors = 0
        self.first_error = ""
        self.gaps: list[tuple[int, int]] = []

    def count(self, error: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or error
