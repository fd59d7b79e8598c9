"""The one loop that waits for the world, for workflows and adapters."""

from collections.abc import Callable
from typing import TypeVar

from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError
from lifecycle.ports.clock import Clock

T = TypeVar("T")


def wait_for(
    look: Callable[[], T],
    reached: Callable[[T], bool],
    how: Wait,
    clock: Clock,
    *,
    timed_out: Callable[[T], CapctlError] | None = None,
) -> T:
    """What the last look saw, once `how` has its successes; `look` raises for what can never be reached.

    When the time is over, the error is raised that `timed_out` makes of the last look; only an endless wait does without.
    """
    started, successes = clock.monotonic(), 0
    while True:
        seen = look()
        successes = successes + 1 if reached(seen) else 0
        pause_s = how.pause_s(successes=successes, waited_s=clock.monotonic() - started)
        if pause_s is None:
            break
        clock.sleep(pause_s)
    if successes:
        return seen
    assert timed_out, "a wait that ends says with which error"
    raise timed_out(seen)
