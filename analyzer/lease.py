"""A message that is worked on stays ours as long as its visibility is extended, and no longer than SQS allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from analyzer.errors import AnalyzerError
from analyzer.interrupt import StopRequest
from analyzer.sqs import SAY_TIMEOUT_S, VISIBILITY_MAX_S, Message, MessageGone, Queue

# The last extension ends so much before SQS's limit, which leaves time to stop and to say so.
MARGIN_S = 60


class Ended(StrEnum):
    """Why a lease ended while the work went on, in the words that follow `Stopped by`."""

    LOST = "the loss of its message"
    TOO_LONG = "the twelve hours that a message can be held"


class Lease:
    """Extends one message's visibility by `beat`, every third of it; asks the work to stop when that ends.

    `clock` gives seconds that go on; the message was received when this is made.
    """

    def __init__(
        self, queue: Queue, message: Message, *, visibility_s: int, stop: StopRequest, clock: Callable[[], float]
    ) -> None:
        self._queue, self._message, self._visibility_s = queue, message, visibility_s
        self._stop, self._clock = stop, clock
        self._received_s = self._extended_s = clock()
        self.ended: Ended | None = None

    @property
    def every_s(self) -> float:
        return self._visibility_s / 3

    def beat(self) -> bool:
        """Extend the visibility; false when there is nothing to extend any more, and the work was asked to stop."""
        now_s = self._clock()
        left_s = VISIBILITY_MAX_S - MARGIN_S - (now_s - self._received_s)
        # After the next beat nothing could be extended: the message is given back while it still is ours.
        if left_s < self.every_s:
            return self._end(Ended.TOO_LONG)
        try:
            self._queue.hide(self._message, round(min(self._visibility_s, left_s)))
        except MessageGone:
            return self._end(Ended.LOST)
        except AnalyzerError:
            # Two more beats fit into a visibility; after that somebody else may have the message.
            return True if now_s - self._extended_s < self._visibility_s else self._end(Ended.LOST)
        self._extended_s = now_s
        return True

    @contextmanager
    def kept(self, wait: Callable[[threading.Event, float], bool] = threading.Event.wait) -> Iterator[None]:
        """Beat in a thread from entering to leaving the block; `wait` is true when the block was left meanwhile."""
        left = threading.Event()

        def run() -> None:
            while not wait(left, self.every_s) and self.beat():
                pass

        thread = threading.Thread(target=run, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            # What is said about the message next must not be overtaken by a beat.
            thread.join(SAY_TIMEOUT_S)

    def _end(self, why: Ended) -> bool:
        self.ended = why
        self._stop.request(str(why))
        return False
