"""Whether AWS Batch runs another attempt of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended. `final` marks ends that Batch never retries: a timeout, a termination, a cancellation."""

    exit_code: int | None
    reason: str | None
    status_reason: str
    final: bool = False

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0 and not self.final


def is_retried(strategy: Mapping[str, Any], attempt: int, end: AttemptEnd) -> bool:
    """Whether attempt number `attempt` (from 1) is followed by another one, under a `retryStrategy`.

    The first `evaluateOnExit` rule of which every condition holds decides; when none holds, the attempts that are left are used.
    """
    if end.succeeded or end.final or attempt >= int(strategy.get("attempts") or 1):
        return False
    for rule in strategy.get("evaluateOnExit") or ():
        if _holds(rule, end):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _holds(rule: Mapping[str, Any], end: AttemptEnd) -> bool:
    exit_code = "" if end.exit_code is None else str(end.exit_code)
    conditions = (("onExitCode", exit_code), ("onReason", end.reason or ""), ("onStatusReason", end.status_reason))
    return all(_matches(rule[name], text) for name, text in conditions if rule.get(name))


def _matches(pattern: str, text: str) -> bool:
    """A pattern is literal, in the case that it is written in, but for one trailing asterisk."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
