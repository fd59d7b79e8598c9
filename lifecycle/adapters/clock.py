"""The system's clock."""

import time
from datetime import UTC, datetime

# `time.monotonic` stands still while the machine is suspended, and a lease of AWS's or of another run does not: whoever woke up would
# believe for a while that the turn is still his. On Linux CLOCK_BOOTTIME goes on meanwhile, elsewhere CLOCK_MONOTONIC itself does (macOS).
_GOES_ON_SUSPENDED: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """`ports.Clock` on real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(_GOES_ON_SUSPENDED)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
