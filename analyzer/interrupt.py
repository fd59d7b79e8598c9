"""What ends work before its time: a signal, at once, or a request, at the work's next safe point."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from analyzer.errors import Interrupted

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Within the block the first stop signal raises `Interrupted`; those after it do not disturb the clean-up."""
    before = {each: signal.getsignal(each) for each in STOP_SIGNALS}

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for each in STOP_SIGNALS:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, action in before.items():
            signal.signal(each, action)


class StopRequest:
    """Asks work in any thread to end: `check` is called where the work may be cut off, and raises there.

    Requests may come from any thread and from a signal's handler; the first one counts.
    """

    def __init__(self) -> None:
        self.by = ""

    def request(self, by: str) -> None:
        """`by` says who or what asks, in the words that follow `Stopped by`."""
        self.by = self.by or by

    def check(self) -> None:
        """Raises: Interrupted, once the end was requested."""
        if self.by:
            raise Interrupted(self.by)
