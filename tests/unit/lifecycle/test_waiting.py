"""Waiting for AWS, on a clock that only the wait itself moves."""

from collections.abc import Iterator

import pytest

from lifecycle.adapters.aws.waiting import Observation, wait_until
from lifecycle.errors import CapctlError, TimedOut
from tests.fakes.clock import FakeClock


def wait(*states: str, timeout_s: float = 3600) -> FakeClock:
    """Look at `states` one after the other, the last one for ever; `failed` cannot be left."""
    seen: Iterator[str] = iter((*states, *[states[-1]] * 10_000))
    clock = FakeClock()

    def observe() -> Observation:
        state = next(seen)
        if state == "failed":
            raise CapctlError("ami-failed", "it failed")
        return Observation(reached=state == "available", state=state)

    wait_until(
        observe, clock=clock, timeout_s=timeout_s, timed_out=lambda state: TimedOut("ami-pending", f"still `{state}`")
    )
    return clock


def test_success_is_seen_three_times_in_a_row() -> None:
    assert wait("available").slept == [0.1, 0.1]
    assert wait("available", "available", "pending", "available").slept.count(0.1) == 4


def test_terminal_state_ends_the_wait_at_once() -> None:
    with pytest.raises(CapctlError, match="it failed"):
        wait("pending", "failed")


def test_delays_grow_to_a_quarter_of_a_minute() -> None:
    assert wait(*["pending"] * 9, "available").slept[:9] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


def test_timeout_names_the_last_state() -> None:
    with pytest.raises(TimedOut, match="still `pending`"):
        wait("pending", timeout_s=3600)


def test_wait_that_succeeds_at_the_last_moment_is_no_timeout() -> None:
    wait(*["pending"] * 3, "available", timeout_s=1.75)
