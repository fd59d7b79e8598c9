"""Which attempts AWS Batch repeats."""

import pytest

from lifecycle.rehearsal.emulator.retries import AttemptEnd, is_retried

RULES = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "CannotPullContainerError*", "action": "RETRY"},
    {"onExitCode": "75", "action": "retry"},
    {"onReason": "*", "action": "exit"},
]


def end(
    exit_code: int | None = None,
    reason: str | None = None,
    status: str = "Essential container in task exited",
    final: bool = False,
) -> AttemptEnd:
    return AttemptEnd(exit_code=exit_code, reason=reason, status_reason=status, final=final)


@pytest.mark.parametrize(
    ("ended", "retried"),
    [
        (end(75), True),
        (end(65), False),
        (end(0), False),
        (end(137, "OutOfMemoryError: Container killed due to memory usage"), False),
        (end(None, "CannotPullContainerError: manifest unknown", "Task failed to start"), True),
        (end(143, None, "Host EC2 (instance i-1) terminated."), True),
        (end(75, final=True), False),
    ],
)
def test_first_rule_that_holds_decides(ended: AttemptEnd, retried: bool) -> None:
    assert is_retried({"attempts": 3, "evaluateOnExit": RULES}, 1, ended) is retried


def test_no_rule_that_holds_means_retry() -> None:
    strategy = {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "exit"}]}
    assert is_retried(strategy, 1, end(2))


def test_every_condition_of_a_rule_must_hold() -> None:
    strategy = {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "onReason": "Out*", "action": "exit"}]}
    assert is_retried(strategy, 1, end(1, "something else"))
    assert not is_retried(strategy, 1, end(1, "OutOfMemoryError"))


def test_attempts_are_the_limit_and_one_is_the_default() -> None:
    assert is_retried({"attempts": 2}, 1, end(1))
    assert not is_retried({"attempts": 2}, 2, end(1))
    assert not is_retried({}, 1, end(1))
