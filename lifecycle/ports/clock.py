"""Time."""

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
