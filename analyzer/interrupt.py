"""SIGTERM and SIGINT end the work at once, by one exception in the main thread."""

from __future__ import annotations

import signal
from types import FrameType

from analyzer.errors import Interrupted

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def raise_on_stop_signals() -> None:
    """Make the first stop signal raise `Interrupted`, and ignore those after it so that the clean-up finishes."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for each in STOP_SIGNALS:
        signal.signal(each, stop)
