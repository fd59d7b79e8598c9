"""Frames of a damaged stream in the order of their times.

A decoder that lost a keyframe does not notice that another group of pictures began, and gives out frames of two groups in turn.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from analyzer.video.clock import time_of

# As many pictures as H.264 and HEVC let a decoder keep.
DEPTH = 16


class Order:
    """Holds `depth` frames back, and gives out the earliest; one without a time stays behind the one before it."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._held: list[tuple[int, int, Any]] = []
        self._count = 0
        self._time = 0

    def put(self, raw: Any) -> Iterator[Any]:
        """The frames that may be shown now that `raw` came out of the decoder."""
        time = time_of(raw)
        self._time = self._time if time is None else time
        self._count += 1
        heapq.heappush(self._held, (self._time, self._count, raw))
        while len(self._held) > self._depth:
            yield heapq.heappop(self._held)[-1]

    def rest(self) -> Iterator[Any]:
        """No frame will come any more."""
        while self._held:
            yield heapq.heappop(self._held)[-1]
