"""Time goes on while the machine is suspended, and so does the turn to deploy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import LEASE_S, HeldTurn
from lifecycle.adapters.clock import SystemClock
from tests.failures import failure
from tests.fakes.deployments import HOLDER


class _Machine:
    """Linux's clocks, of which only one goes on while it is suspended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = {time.CLOCK_MONOTONIC: 1_000.0, time.CLOCK_BOOTTIME: 1_000.0}
        monkeypatch.setattr(time, "clock_gettime", self.passed_s.__getitem__)
        monkeypatch.setattr(time, "monotonic", lambda: self.passed_s[time.CLOCK_MONOTONIC])

    def suspend(self, seconds: float) -> None:
        self.passed_s[time.CLOCK_BOOTTIME] += seconds


class _Table:
    """One in which whoever asks gets the turn."""

    name = "table"

    @contextmanager
    def doing(self, _: str) -> Iterator[_Table]:
        yield self

    def update_item(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"number": {"N": "1"}}}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> _Machine:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("a clock of Linux")
    return _Machine(monkeypatch)


def test_run_that_was_suspended_for_a_lease_may_change_nothing_more_when_it_wakes_up(machine: _Machine) -> None:
    turn = HeldTurn(cast(ReleasesTable, _Table()), SystemClock(), HOLDER)
    turn.take()
    machine.suspend(LEASE_S - 1)
    turn.require()
    machine.suspend(2)
    assert failure(turn.require).code == "turn-lost"


def test_clock_never_goes_back() -> None:
    clock = SystemClock()
    seen = [clock.monotonic() for _ in range(1_000)]
    assert seen == sorted(seen)
    assert seen[0] > 0
