"""Time."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as it passes for the command."""

    def now(self) -> datetime:
        """The current time, in UTC."""

    def monotonic(self) -> float:
        """Seconds, never going back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


def polls(clock: Clock, pause_s: Callable[[float], float]) -> Iterator[float]:
    """The seconds waited so far: 0 at once, then after each pause, without end; `pause_s` of them is the next pause."""
    started = clock.monotonic()
    while True:
        waited_s = clock.monotonic() - started
        yield waited_s
        clock.sleep(pause_s(waited_s))
