"""Whether the store can be written, for probes that come often and wait briefly."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from analyzer.errors import DependencyDown, Interrupted

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
                self._verdict = verdict = Future()
                # From here on, a probe that gives up cannot cancel it for the others.
                verdict.set_running_or_notify_cancel()
                threading.Thread(target=self._settle, args=(verdict,), name="readiness", daemon=True).start()
            return verdict

    def _settle(self, verdict: Future[None]) -> None:
        try:
            self._look()
        except (Exception, Interrupted) as error:
            self._looked_s = self._clock()
            verdict.set_exception(error)
        else:
            self._looked_s = self._clock()
            verdict.set_result(None)
