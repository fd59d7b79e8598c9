"""`ports.Clock` whose time passes only when somebody sleeps."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at 2026-01-01 00:00 UTC; `slept` holds every wait in seconds."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds
