"""What ends work before its time: a signal, at once, or a request, at the work's next safe point."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer
from types import FrameType

from analyzer.errors import Interrupted

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Finalisers are short.
AGAIN_S = 0.05


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Within the block the first stop signal raises `Interrupted`; those after it do not disturb the clean-up.

    Where Python cannot raise, as in an object's finaliser, it is raised again a moment later.
    """
    before, told = {each: signal.getsignal(each) for each in STOP_SIGNALS}, sys.unraisablehook
    ended = ExitStack()

    def listen() -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, stop)

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if isinstance(error, Interrupted) and error.by in signal.Signals.__members__:
            listen()
            again = Timer(AGAIN_S, os.kill, (os.getpid(), signal.Signals[error.by]))
            ended.callback(again.cancel)
            again.start()
        else:
            told(unraisable)

    listen()
    sys.unraisablehook = lost
    try:
        with ended:
            yield
    finally:
        sys.unraisablehook = told
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
