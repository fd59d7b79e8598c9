"""Waiting, on a clock that only the wait itself moves."""

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.wait_available import wait_available
from tests.fakes.amis import FakeAmis
from tests.fakes.clock import FakeClock

HOUR_S = 3600.0


def wait(*looks: bool, timeout_s: float = HOUR_S, successes: int = 3) -> FakeClock:
    """Look at `looks` one after the other, the last one for ever."""
    seen, clock = [*looks], FakeClock()
    how = Wait(shortest_s=0.25, longest_s=15.0, successes=successes, timeout_s=timeout_s)
    wait_for(
        lambda: seen.pop(0) if len(seen) > 1 else seen[0],
        lambda look: look,
        how,
        clock,
        timed_out=lambda look: TimedOut("ami-pending", f"the last look was {look}"),
    )
    return clock


def test_success_is_seen_several_times_in_a_row() -> None:
    assert wait(True).slept == [0.25, 0.25]
    assert len(wait(True, True, False, True).slept) == 5
    assert wait(True, successes=1).slept == []


def test_success_is_repeated_after_a_pause_of_its_own_where_one_is_given() -> None:
    assert Wait(shortest_s=5.0, longest_s=5.0, successes=2, repeat_s=0.0).pause_s(successes=1, waited_s=60.0) == 0.0


def test_pauses_grow_with_the_time_waited_within_bounds() -> None:
    assert wait(*[False] * 9, True).slept[:9] == [0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_timeout_is_raised_from_the_last_look() -> None:
    with pytest.raises(TimedOut, match="the last look was False"):
        wait(False)


def test_success_at_the_last_moment_is_no_timeout() -> None:
    wait(False, False, True, timeout_s=0.5)


def test_success_that_does_not_last_beyond_the_time_is_a_timeout() -> None:
    with pytest.raises(TimedOut):
        wait(False, False, True, False, timeout_s=0.5)


def test_look_that_raises_ends_the_wait_at_once() -> None:
    clock = FakeClock()
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 // 0, bool, Wait(shortest_s=1, longest_s=1), clock)
    assert clock.slept == []


class Account:
    """An AMI that goes through the states of `course`, one at each look."""

    def __init__(self, *course: str | None) -> None:
        self.amis, self.clock = FakeAmis(), FakeClock()
        self.ami_id = self.amis.add("models").id
        self.amis.course[self.ami_id] = [AmiState(state) if state else None for state in course]

    def wait(self, ami_id: AmiId | None = None) -> None:
        wait_available(self.amis, self.clock, ami_id or self.ami_id, timeout_s=HOUR_S)


def test_ami_is_waited_for_until_every_endpoint_knows_that_it_is_available() -> None:
    account = Account("pending", "available", "pending", "available", "available", "available")
    account.wait()
    assert account.amis.course[account.ami_id] == []


@pytest.mark.parametrize("state", ["failed", "error", "invalid", "deregistered", "disabled"])
def test_ami_that_can_never_be_available_ends_the_wait_at_once(state: str) -> None:
    account = Account("pending", state, *["available"] * 9)
    with pytest.raises(CapctlError, match=f"is `{state}`") as failed:
        account.wait()
    assert failed.value.code == "ami-failed"


def test_ami_that_is_not_to_be_seen_yet_is_waited_for() -> None:
    Account(None, None, "pending", "available").wait()


def test_ami_that_does_not_appear_is_missing() -> None:
    account = Account()
    with pytest.raises(CapctlError) as failed:
        account.wait(AmiId("ami-0123456789abcdef0"))
    assert failed.value.code == "ami-missing"
    assert account.clock.monotonic() == pytest.approx(150, abs=15)


def test_ami_that_stays_pending_is_a_timeout_that_says_so() -> None:
    with pytest.raises(TimedOut, match="still `pending` after 3600 s"):
        Account(*["pending"] * 1000).wait()
