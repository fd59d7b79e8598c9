"""What is known of a video before and while it is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What the container says; `width` and `height` are those of the upright picture.

    `rotation` is in degrees clockwise (0, 90, 180, 270) from the stored to the upright picture; `variable_rate` says that the rate of
    the stream's head is not its average.
    """

    container: str
    codec: str
    size_bytes: int
    width: int
    height: int
    rotation: int
    duration_ms: int | None
    fps: float | None
    variable_rate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a segment begins: at the first keyframe whose time is `start_pts` or later, in units of the stream.

    Where `decode_pts` is given, it begins between keyframes, with the first packet whose time is `start_pts` or later, and its
    pictures need those since the keyframe at `decode_pts`. `origin_pts` is the time that counts as zero.
    """

    segment: int
    start_pts: int
    origin_pts: int
    decode_pts: int | None = None

    @property
    def keyframe_pts(self) -> int:
        """From when on the video is decoded."""
        return self.start_pts if self.decode_pts is None else self.decode_pts

    def past(self, length: Fraction) -> Position:
        """Where to go on if this segment, of at least `length`, ends decoders: not between keyframes, because it would be decoded."""
        start_pts = math.ceil(self.start_pts + length)
        return Position(segment=self.segment + 1, start_pts=start_pts, origin_pts=self.origin_pts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSummary:
    """What became of one segment; `following` is where the next one begins, None after the last.

    `frames` decoded, `sampled_frames` were looked at, `errors` are packets and frames that did not decode. `decoded_ms` is the end of
    the last decoded frame. Between the times of each of the `gaps`, in ms, the file holds no picture that it should. A segment that
    was skipped has a `reason`.
    """

    segment: int
    start_ms: int
    end_ms: int
    frames: int
    sampled_frames: int
    errors: int
    first_error: str
    decoded_ms: int
    following: Position | None
    gaps: tuple[tuple[int, int], ...] = ()
    reason: str = ""

    @property
    def skipped(self) -> bool:
        return bool(self.reason)
