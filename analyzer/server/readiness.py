"""Whether the store can be written, for probes that come often and wait briefly."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from analyzer.errors import DependencyDown
from analyzer.server.blocking import begun

# Looking at a store costs a round trip.
LOOK_EVERY_S = 5.0
# Less than open connections have at the server's end.
PATIENCE_S = 1.5


class Readiness:
    """`look` raises what keeps the store from being written, and may block for long; one call of it runs at a time, in a thread of its own.

    What it found, good or bad, holds for `LOOK_EVERY_S`.
    """

    def __init__(
        self, look: Callable[[], None], *, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._patience_s, self._clock = look, patience_s, clock
        self._turn = threading.Lock()
        self._verdict: Future[None] | None = None
        self._looked_s = 0.0

    async def check(self) -> None:
        """Raises: what `look` raised; DependencyDown, when it has not come back within the patience. It goes on meanwhile."""
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._current()), self._patience_s)
        except TimeoutError as error:
            what = f"The store has not answered within {self._patience_s:g} s"
            raise DependencyDown("store-slow", what, hint="Ask again in a few seconds") from error

    def _current(self) -> Future[None]:
        with self._turn:
            verdict = self._verdict
            if verdict is None or (verdict.done() and self._clock() - self._looked_s >= LOOK_EVERY_S):
                self._verdict = verdict = begun(self._look_once)
            return verdict

    def _look_once(self) -> None:
        try:
            self._look()
        finally:
            self._looked_s = self._clock()
