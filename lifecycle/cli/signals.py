"""Signals become an error in the main thread, wherever the kernel delivers them."""

from __future__ import annotations

import os
import select
import signal
import sys
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType

from lifecycle.errors import Interrupted

AGAIN = "Run the same command again; it goes on from what exists, or cleans up"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Ignored by default, so that it ends nobody who gets it too late.
_NUDGE = signal.SIGURG
_NUDGE_S = 0.05
_SILENCE_S = 0.5
_CROSSINGS = ("__enter__", "__exit__")
_IMPORTS = "<frozen importlib._bootstrap>"


@contextmanager
def signals_as_errors(give_up: Callable[[], None]) -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; `give_up` is called at the second.

    An ending that takes longer than a moment says so.
    """
    heard: list[int] = []
    later: list[int] = []  # raised at the next nudge

    def second(number: int, _: FrameType | None) -> None:
        heard.append(number)
        give_up()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if later:
            second(number, frame)
        if _is_taking_a_lock(frame):
            later.append(number)
            return
        heard.append(number)
        for each in ours:
            signal.signal(each, second)
        raise Interrupted("interrupted", f"The command was interrupted by {signal.Signals(number).name}", hint=AGAIN)

    def again(_: int, frame: FrameType | None) -> None:
        if later:
            interrupt(later.pop(), frame)
        elif heard and listener.came > len(heard):  # two of a kind, of which Python tells one
            second(heard[0], frame)

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        # Python drops what is raised in a finalizer or a callback of a weak reference, of which every import calls some.
        if isinstance(lost.exc_value, Interrupted):
            later.append(heard.pop())
        else:
            former_hook(lost)

    former, former_hook = {each: signal.getsignal(each) for each in (*_SIGNALS, _NUDGE)}, sys.unraisablehook
    # `nohup` stays in force.
    ours = [each for each in _SIGNALS if each is not signal.SIGHUP or former[each] is not signal.SIG_IGN]
    sys.unraisablehook = unraisable
    listener = _Listener(heard)
    try:
        signal.signal(_NUDGE, again)
        for each in ours:
            signal.signal(each, interrupt)
        yield
    finally:
        listener.close()
        sys.unraisablehook = former_hook
        for each, handler in former.items():
            signal.signal(each, handler)


def _is_taking_a_lock(frame: FrameType | None) -> bool:
    """Whether the main thread may hold a lock that nobody would give back: who enters a context has not entered it yet, and imports take
    their locks without one. Every other thread would wait for it for ever."""
    return frame is not None and (frame.f_code.co_name in _CROSSINGS or frame.f_code.co_filename == _IMPORTS)


class _Listener:
    """Nudges the main thread when a signal came, until it has `heard` it: Python acts on signals in that thread alone, while the kernel
    may deliver one to any thread, and would leave the main one to sleep. `came` counts the signals."""

    def __init__(self, heard: list[int]) -> None:
        self.came = 0
        self._heard, self._main = heard, get_ident()
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self._former = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        self._listening = allocate_lock()
        self._listening.acquire()
        start_new_thread(self._listen, ())

    def close(self) -> None:
        """Hear no more; its thread has ended when this returns."""
        signal.set_wakeup_fd(self._former)
        os.close(self._mouth)
        self._listening.acquire()
        os.close(self._ear)

    def _listen(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._nudge_until_closed()
        finally:
            self._listening.release()

    def _nudge_until_closed(self) -> None:
        tell_at, wait_s = float("inf"), None
        while True:
            if select.select((self._ear,), (), (), wait_s)[0]:
                number = os.read(self._ear, 1)
                if not number:
                    return
                if number[0] not in _SIGNALS:  # the nudge itself is told too
                    continue
                self.came += 1
                tell_at = tell_at if self.came > 1 else monotonic() + _SILENCE_S
            if monotonic() >= tell_at:
                tell_at = float("inf")
                _tell_of_ending()
            is_heard = len(self._heard) >= self.came
            if not is_heard:
                signal.pthread_kill(self._main, _NUDGE)
            wait_s = _NUDGE_S if not is_heard or tell_at < float("inf") else None


def _tell_of_ending() -> None:
    """On a terminal over the row of the live display, which is drawn again below."""
    start = "\r\x1b[K" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
    with suppress(OSError):
        os.write(2, f"{start}Interrupted; what is under way ends first, a second signal ends at once\n".encode())
