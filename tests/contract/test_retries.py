"""Which attempts Batch repeats: the emulator, which runs real containers, and the double hold one opinion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rehearsal.emulator.retries import AttemptEnd, is_retried
from tests.fakes.batch_compute import strategy_of
from tests.fakes.batch_retries import (
    CANNOT_PULL,
    CANNOT_START,
    NEVER_STARTED,
    OUT_OF_MEMORY,
    OVERDUE,
    RECLAIMED,
    End,
    ended,
    exited,
    runs_again,
)

Decision = Callable[[Mapping[str, Any], int, End], bool]


def of_emulator(strategy: Mapping[str, Any], attempts: int, end: End) -> bool:
    same = AttemptEnd(
        exit_code=end.exit_code,
        reason=end.reason or None,
        status_reason=end.status_reason,
        final=end.is_final,
    )
    return is_retried(strategy, attempts, same)


def of_double(strategy: Mapping[str, Any], attempts: int, end: End) -> bool:
    return runs_again(strategy, attempts=attempts, end=end)


@pytest.fixture(params=[of_emulator, of_double])
def decides(request: pytest.FixtureRequest) -> Decision:
    decision: Decision = request.param
    return decision


def rules(*given: dict[str, str]) -> dict[str, Any]:
    return {"attempts": 3, "evaluateOnExit": list(given)}


RECLAIMED_ON_HOST = RECLAIMED.on("i-0123456789abcdef0")


@pytest.mark.parametrize(
    ("end", "retried"),
    [
        (RECLAIMED_ON_HOST, True),
        (CANNOT_PULL, True),
        (CANNOT_START, True),
        (exited(75), True),
        (exited(0), False),
        (exited(1), False),
        (exited(65), False),
        (exited(750), False),
        (OUT_OF_MEMORY, False),
        (OVERDUE, False),
        (ended("nobody wants it"), False),
        (ended("Host EC2 is what somebody wrote"), False),
    ],
)
def test_releases_retry_what_is_nobody_s_fault(decides: Decision, end: End, retried: bool) -> None:
    assert decides(strategy_of(3), 1, end) is retried
    assert decides(strategy_of(3), 2, end) is retried
    assert not decides(strategy_of(3), 3, end)


@pytest.mark.parametrize(
    ("strategy", "end", "retried"),
    [
        # The first rule that holds decides.
        (rules({"onExitCode": "1", "action": "EXIT"}, {"onReason": "*", "action": "RETRY"}), exited(1), False),
        (rules({"onReason": "*", "action": "RETRY"}, {"onExitCode": "1", "action": "EXIT"}), exited(1), True),
        # None that holds means retry, and so do no rules at all.
        (rules({"onExitCode": "1", "action": "EXIT"}), exited(2), True),
        ({"attempts": 3}, exited(2), True),
        # One attempt is the default.
        ({}, exited(2), False),
        # Every condition of a rule must hold.
        (rules({"onExitCode": "137", "onReason": "Out*", "action": "EXIT"}), exited(137), True),
        (rules({"onExitCode": "137", "onReason": "Out*", "action": "EXIT"}), OUT_OF_MEMORY, False),
        # An action is written in any case, a pattern holds exactly, and an asterisk stands for something at its end only.
        (rules({"onExitCode": "2", "action": "exit"}), exited(2), False),
        (rules({"onReason": "outofmemory*", "action": "EXIT"}), OUT_OF_MEMORY, True),
        (rules({"onReason": "OutOfMemoryError", "action": "EXIT"}), OUT_OF_MEMORY, True),
        (rules({"onReason": "Out*usage", "action": "EXIT"}), OUT_OF_MEMORY, True),
        (rules({"onStatusReason": "Host.EC2*", "action": "EXIT"}), RECLAIMED_ON_HOST, True),
        (rules({"onExitCode": "13*", "action": "EXIT"}), OUT_OF_MEMORY, False),
        # What has no code or reason is as if it were empty.
        (rules({"onExitCode": "*", "action": "EXIT"}), RECLAIMED_ON_HOST, False),
        (rules({"onReason": "*", "action": "EXIT"}), exited(1), False),
        (rules({"onExitCode": "0", "action": "EXIT"}), RECLAIMED_ON_HOST, True),
    ],
)
def test_rules_decide(decides: Decision, strategy: dict[str, Any], end: End, retried: bool) -> None:
    assert decides(strategy, 1, end) is retried


def test_attempts_are_the_limit(decides: Decision) -> None:
    assert [decides({"attempts": 3}, attempts, exited(1)) for attempts in (1, 2, 3, 4)] == [True, True, False, False]


_TEXTS = (
    "",
    "Host EC2",
    "Host EC2 (instance i-1) terminated.",
    "host ec2",
    "Out*",
    "OutOfMemoryError: x",
    NEVER_STARTED,
)
_CODES = (None, 0, 1, 13, 75, 137)
_RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(["RETRY", "EXIT", "retry", "exit"])},
    optional={
        "onExitCode": st.sampled_from(["0", "1", "1*", "75", "*"]),
        "onReason": st.sampled_from(["*", "Out*", "OutOfMemoryError: x", "Out**"]),
        "onStatusReason": st.sampled_from(["Host EC2*", "Host*EC2", "Host EC2", "*", "Task failed to start*"]),
    },
)


@given(
    strategy=st.fixed_dictionaries(
        {"attempts": st.integers(1, 4)}, optional={"evaluateOnExit": st.lists(_RULES, max_size=5)}
    ),
    attempts=st.integers(1, 5),
    end=st.builds(
        End,
        exit_code=st.sampled_from(_CODES),
        reason=st.sampled_from(_TEXTS),
        status_reason=st.sampled_from(_TEXTS),
        is_final=st.booleans(),
    ),
)
def test_both_decide_the_same(strategy: dict[str, Any], attempts: int, end: End) -> None:
    assert of_emulator(strategy, attempts, end) is of_double(strategy, attempts, end)
