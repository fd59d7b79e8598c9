"""When a job came to its points, and how long its parts took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    """How long each part took, and at which moments the job came to a point.

    Moments count on from one look at the system's clock, so that they are in order even where that clock is set meanwhile.
    """

    def __init__(self) -> None:
        self._begin_s = time.monotonic()
        self._begin_ms = time.time_ns() // 1_000_000
        self.parts: dict[str, int] = {}
        self.moments: dict[str, int] = {"begun_ms": self._begin_ms}

    def reach(self, name: str) -> bool:
        """The job is at a point now; only the first time counts, and is true."""
        if f"{name}_ms" in self.moments:
            return False
        self.moments[f"{name}_ms"] = self._begin_ms + round(1000 * (time.monotonic() - self._begin_s))
        return True

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        begin_s = time.monotonic()
        yield
        self.parts[f"{name}_ms"] = round(1000 * (time.monotonic() - begin_s))

    def all(self) -> dict[str, int]:
        return {**self.parts, "total_ms": round(1000 * (time.monotonic() - self._begin_s))}
