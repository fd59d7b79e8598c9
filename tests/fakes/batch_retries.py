"""Whether Batch runs another attempt of a job, after the texts of its API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_EXITED = "Essential container in task exited"
NEVER_STARTED = "Task failed to start"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an attempt ended: `reason` is the container's, `status_reason` the job's; `{instance}` in it is the host's id.

    `is_final` marks what Batch never tries again: a time-out, a termination, a cancellation.
    """

    exit_code: int | None = None
    reason: str = ""
    status_reason: str = _EXITED
    is_final: bool = False

    @property
    def has_run(self) -> bool:
        """Whether there was a container."""
        return self.status_reason != NEVER_STARTED

    @property
    def is_success(self) -> bool:
        return self.exit_code == 0 and not self.is_final

    @property
    def loses_host(self) -> bool:
        return self.status_reason.startswith("Host EC2")

    def on(self, instance_id: str) -> End:
        """The same end on a host."""
        return replace(self, status_reason=self.status_reason.replace("{instance}", instance_id))


OUT_OF_MEMORY = End(exit_code=137, reason="OutOfMemoryError: Container killed due to memory usage")
CANNOT_PULL = End(reason="CannotPullContainerError: pull access denied", status_reason=NEVER_STARTED)
CANNOT_START = End(reason="CannotStartContainerError: invalid mount config", status_reason=NEVER_STARTED)
RECLAIMED = End(status_reason="Host EC2 (instance {instance}) terminated.")
OVERDUE = End(exit_code=137, status_reason="Job attempt duration exceeded timeout", is_final=True)


def exited(code: int) -> End:
    """The container ended by itself."""
    return End(exit_code=code)


def ended(reason: str, *, exit_code: int | None = None) -> End:
    """Somebody terminated or cancelled the job."""
    return End(exit_code=exit_code, status_reason=reason, is_final=True)


def runs_again(strategy: Mapping[str, Any], *, attempts: int, end: End) -> bool:
    """Whether another attempt follows `attempts` of them, the last of which ended so, under a `retryStrategy`."""
    if end.is_success or end.is_final or attempts >= strategy.get("attempts", 1):
        return False
    seen = {
        "onExitCode": "" if end.exit_code is None else str(end.exit_code),
        "onReason": end.reason,
        "onStatusReason": end.status_reason,
    }
    for rule in strategy.get("evaluateOnExit", ()):
        if all(_pattern(rule[name]).fullmatch(text) for name, text in seen.items() if rule.get(name)):
            return bool(rule["action"].lower() == "retry")
    return True


def _pattern(text: str) -> re.Pattern[str]:
    """Only an asterisk at the end stands for anything else than itself."""
    return re.compile(re.escape(text.removesuffix("*")) + (".*" if text.endswith("*") else ""), re.DOTALL)
