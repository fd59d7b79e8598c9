"""The one loop that waits for the world, for workflows and adapters."""

from collections.abc import Callable
from typing import TypeVar, cast

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

    When the time is over, the error is raised that `timed_out` makes of the last look; without one the last look counts.
    """
    started, successes = clock.monotonic(), 0
    while True:
        seen = look()
        successes = successes + 1 if reached(seen) else 0
        pause_s = how.pause_s(successes=successes, waited_s=clock.monotonic() - started)
        if pause_s is None:
            break
        clock.sleep(pause_s)
    if successes or timed_out is None:
        return seen
    raise timed_out(seen)


def until_it_passes(
    look: Callable[[], T],
    how: Wait,
    clock: Clock,
    *,
    may_pass: Callable[[CapctlError], bool] = lambda error: error.may_pass,
) -> T:
    """What `look` returns, once it raises nothing more that may pass: what it read may be from before a change.

    Raises whatever else it raises, and the last error when the time is over.
    """

    def attempt() -> tuple[T | None, CapctlError | None]:
        try:
            return look(), None
        except CapctlError as error:
            if not may_pass(error):
                raise
            return None, error

    found, failure = wait_for(attempt, lambda seen: seen[1] is None, how, clock)
    if failure:
        raise failure
    return cast("T", found)
