"""Waiting for AWS: success must be seen several times, a state that cannot change ends the wait at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.errors import TimedOut
from lifecycle.ports.clock import Clock

# AWS answers from several endpoints that learn of a change at different moments; three in a row are hardly all early.
_SUCCESSES = 3
_SUCCESS_DELAY_S = 0.1
_FIRST_DELAY_S = 0.25
_LAST_DELAY_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look showed; `state` in AWS's words, for the message of a wait that times out."""

    reached: bool
    state: str


def wait_until(
    observe: Callable[[], Observation], *, clock: Clock, timeout_s: float, timed_out: Callable[[str], TimedOut]
) -> None:
    """Look until `observe` reports success three times in a row; it raises when the state can never be reached.

    When `timeout_s` is over, the error that `timed_out` makes of the last state is raised.
    """
    started = clock.monotonic()
    delay_s, successes = _FIRST_DELAY_S, 0
    while True:
        seen = observe()
        successes = successes + 1 if seen.reached else 0
        if successes == _SUCCESSES:
            return
        if not seen.reached and clock.monotonic() - started >= timeout_s:
            raise timed_out(seen.state)
        clock.sleep(_SUCCESS_DELAY_S if seen.reached else delay_s)
        if not seen.reached:
            delay_s = min(delay_s * 2, _LAST_DELAY_S)
