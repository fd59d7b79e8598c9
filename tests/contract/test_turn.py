"""The turn to deploy when its holder dies, is slow, or has another clock: on the emulator's DynamoDB, with clocks of its own."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.adapters.aws import turn as turns
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import BEAT_S, LEASE_S, HeldTurn
from lifecycle.adapters.processes import Process
from lifecycle.domain.deployment import Holder
from tests.contract.table_parts import make_table
from tests.failures import failure
from tests.fakes.clock import FakeClock
from tests.fakes.deployments import HOLDER

pytestmark = pytest.mark.rehearsal

ELSEWHERE = replace(HOLDER, run_id="first", machine="another boot/pid:[1]", host="elsewhere")


@pytest.fixture
def table(emulated_session: AwsSession) -> ReleasesTable:
    return ReleasesTable(emulated_session, make_table(emulated_session))


def turn(table: ReleasesTable, holder: Holder, clock: FakeClock | None = None) -> HeldTurn:
    return HeldTurn(table, clock or FakeClock(), holder)


def test_turn_of_a_live_holder_is_not_taken(table: ReleasesTable) -> None:
    turn(table, ELSEWHERE).take()
    refused = failure(turn(table, replace(HOLDER, run_id="second")).take)
    assert refused.code == "deploy-locked"
    assert "tester@elsewhere" in refused.message


def test_turn_of_a_process_that_ended_is_taken_at_once(table: ReleasesTable) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = Process.here(ended.pid)
    ended.wait()
    turn(table, replace(HOLDER, run_id="first", **asdict(process))).take()
    clock = FakeClock()
    second = turn(table, replace(HOLDER, run_id="second"), clock)
    second.take()
    assert (second.number, clock.slept) == (2, [])


def test_turn_of_a_process_that_lives_is_not_taken(table: ReleasesTable) -> None:
    here = replace(HOLDER, **asdict(Process.here(os.getpid())))
    turn(table, replace(here, run_id="first")).take()
    assert failure(turn(table, replace(here, run_id="second")).take).code == "deploy-locked"


def test_process_of_another_machine_with_a_dead_one_s_number_is_not_taken_for_dead(table: ReleasesTable) -> None:
    turn(table, replace(ELSEWHERE, pid=2**22 + 1)).take()
    assert failure(turn(table, replace(HOLDER, run_id="second")).take).code == "deploy-locked"


def test_silent_turn_is_taken_after_a_lease_of_watching(table: ReleasesTable) -> None:
    turn(table, ELSEWHERE).take()
    later = FakeClock(datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
    second = turn(table, replace(HOLDER, run_id="second"), later)
    second.take()
    assert second.number == 2
    assert LEASE_S <= sum(later.slept) < LEASE_S + BEAT_S


def test_holder_whose_clock_is_slow_keeps_its_turn(table: ReleasesTable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = turn(table, ELSEWHERE)
    first.take()
    ahead = FakeClock(datetime(2026, 1, 1, 0, 5, tzinfo=UTC))

    def beat(seconds: float) -> None:
        ahead.slept.append(seconds)
        first.renew()

    monkeypatch.setattr(ahead, "sleep", beat)
    assert failure(turn(table, replace(HOLDER, run_id="second"), ahead).take).code == "deploy-locked"
    first.require()


def test_turn_that_is_given_back_meanwhile_is_taken(table: ReleasesTable, monkeypatch: pytest.MonkeyPatch) -> None:
    first = turn(table, ELSEWHERE)
    first.take()
    ahead = FakeClock(datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
    monkeypatch.setattr(ahead, "sleep", lambda _: first.give_back())
    second = turn(table, replace(HOLDER, run_id="second"), ahead)
    second.take()
    assert second.number == 2


def test_who_lost_the_turn_may_change_nothing_more_and_gives_nothing_back(table: ReleasesTable) -> None:
    first = turn(table, ELSEWHERE)
    first.take()
    tomorrow = FakeClock(datetime(2026, 1, 2, tzinfo=UTC))
    second = turn(table, replace(HOLDER, run_id="second"), tomorrow)
    second.take()
    first.renew()
    assert failure(first.require).code == "turn-lost"
    first.give_back()
    third = turn(table, replace(HOLDER, run_id="third"), tomorrow)
    assert failure(third.take).code == "deploy-locked"


def test_turn_without_a_sign_of_life_for_a_lease_is_lost(table: ReleasesTable) -> None:
    clock = FakeClock()
    held = turn(table, ELSEWHERE, clock)
    held.take()
    clock.sleep(LEASE_S - 1)
    held.require()
    held.renew()
    clock.sleep(LEASE_S - 1)
    held.require()
    clock.sleep(2)
    assert failure(held.require).code == "turn-lost"


def test_take_whose_answer_was_lost_and_that_was_repeated_has_the_turn(table: ReleasesTable) -> None:
    turn(table, ELSEWHERE).take()
    again = turn(table, ELSEWHERE)
    again.take()
    assert again.number == 1
    again.require()


def test_two_that_find_the_turn_silent_do_not_both_get_it(
    table: ReleasesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(table, ELSEWHERE).take()
    monkeypatch.setattr(turns, "is_dead", lambda _: True)
    second, third = turn(table, replace(HOLDER, run_id="second")), turn(table, replace(HOLDER, run_id="third"))
    seen = third._item()
    second.take()
    monkeypatch.setattr(third, "_item", lambda: seen)
    assert failure(third.take).code == "deploy-locked"
    second.require()


def test_takeover_whose_answer_was_lost_and_that_was_repeated_has_the_turn(
    table: ReleasesTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(table, ELSEWHERE).take()
    monkeypatch.setattr(turns, "is_dead", lambda _: True)
    second = turn(table, replace(HOLDER, run_id="second"))
    taken, answers = second._taken, iter([None, False])

    def lost(*given: Any, **named: Any) -> bool:
        answer = taken(*given, **named)
        return answer if next(answers, None) is None else False

    monkeypatch.setattr(second, "_taken", lost)
    second.take()
    assert second.number == 2
    second.require()


def test_dead_holder_whose_clock_was_ahead_keeps_nobody_for_longer(table: ReleasesTable) -> None:
    turn(table, ELSEWHERE, FakeClock(datetime(2026, 1, 1, 1, 0, tzinfo=UTC))).take()
    clock = FakeClock()
    second = turn(table, replace(HOLDER, run_id="second"), clock)
    second.take()
    assert second.number == 2
    assert sum(clock.slept) < LEASE_S + BEAT_S
