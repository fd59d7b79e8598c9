"""SIGTERM and SIGINT end the work at once, by one exception in the main thread."""

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
