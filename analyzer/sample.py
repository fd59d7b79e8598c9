"""Which frames to look at: one per cell of a time grid, by presentation time and never by frame number."""

from __future__ import annotations

from fractions import Fraction


class RateSampler:
    """Takes the first frame of each 1/`fps` second; right for variable frame rates and gaps."""

    def __init__(self, fps: float) -> None:
        self._fps = Fraction(fps).limit_denominator(1_000_000)
        self._last_cell = -1

    def takes(self, pts_s: Fraction) -> bool:
        """True when no earlier frame lay in this frame's cell; `pts_s` counts from the stream's start."""
        cell = int(max(pts_s, Fraction(0)) * self._fps)
        if cell <= self._last_cell:
            return False
        self._last_cell = cell
        return True
