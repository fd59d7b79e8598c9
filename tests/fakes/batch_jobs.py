"""The jobs of `FakeBatch`, and what becomes of each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lifecycle.domain.job import JobRecord, JobState, Obstacle
from lifecycle.domain.tags import Tag
from lifecycle.ports.jobs import JobRequest, LogLine
from tests.fakes.batch_compute import Definition, Host
from tests.fakes.batch_retries import End, exited

# How Batch begins the reason of a job that has no host, or lost it.
_OBSTACLES = {
    "CAPACITY:": Obstacle.CAPACITY,
    "Host EC2": Obstacle.CAPACITY,
    "MISCONFIGURATION:": Obstacle.MISCONFIGURED,
}
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no instance type has capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt does: seconds that it waits for a host, starts and runs, and how it ends; infinite for ever."""

    waits_s: float = 1.0
    starts_s: float = 1.0
    runs_s: float = 1.0
    end: End = field(default_factory=lambda: exited(0))


Course = tuple[JobState, ...] | tuple[Attempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What becomes of a job.

    A `course` of states is what looks at it see, one after the other, whatever the time; a course of attempts goes by the clock and
    by Batch's own rules, and its last attempt is repeated as often as Batch retries. A job that succeeds leaves the document
    `leaves`, None for nothing. `outcome` replaces fields of the record once the last state of a course of states was seen.
    """

    course: Course
    leaves: Mapping[str, Any] | None
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def looks(self) -> list[JobState]:
        """The states of a course of states."""
        return [state for state in self.course if isinstance(state, JobState)]

    def attempt(self, number: int) -> Attempt:
        """The attempt of that number, from 0, of a course of attempts."""
        found = self.course[min(number, len(self.course) - 1)]
        assert isinstance(found, Attempt)
        return found

    @property
    def goes_by_time(self) -> bool:
        return bool(self.course) and isinstance(self.course[0], Attempt)


@dataclass(slots=True, kw_only=True)
class Job:
    """A job; `due_s` is when the clock brings it further. `ends` are of its attempts, `logs` by stream.

    `special` and `waits_for` are told and change nothing here.
    """

    id: str
    number: int
    request: JobRequest
    definition: Definition
    script: Script
    created_ms: int
    state: JobState = JobState.SUBMITTED
    due_s: float = math.inf
    left: list[JobState] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    ordered: End | None = None
    host: Host | None = None
    status_reason: str = ""
    stream: str = ""
    logs: dict[str, list[LogLine]] = field(default_factory=dict)
    started_ms: int = 0
    stopped_ms: int = 0
    is_waiting: bool = False
    seen: Mapping[str, Any] = field(default_factory=dict)
    special: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()

    @property
    def holds_vcpus(self) -> bool:
        """Whether a host is kept for it."""
        return self.state in {JobState.STARTING, JobState.RUNNING}

    @property
    def strategy(self) -> Callable[[], Mapping[str, Any]]:
        return self.definition.strategy

    @property
    def timeout_s(self) -> float:
        """How long one attempt may run."""
        return self.request.timeout_s or self.definition.timeout_s or math.inf

    def write(self, message: str) -> None:
        """One more line of its log. All are of one millisecond: a follower that goes by time loses the second."""
        self.logs.setdefault(self.stream, []).append(LogLine(at_ms=self.created_ms + 1, message=message))

    def begin(self, now_ms: int) -> None:
        """The container starts."""
        self.stream = f"{self.definition.prefix}/default/{self.id}-{len(self.ends) + 1}"
        self.started_ms = now_ms
        self.write("analysis begins")

    @property
    def record(self) -> JobRecord:
        """As Batch describes it."""
        end = self.ends[-1] if self.ends and not self.holds_vcpus else End(status_reason="")
        made = JobRecord(
            id=self.id,
            name=re.sub(r"[^\w-]", "-", self.request.name)[:128],
            purpose=self.request.purpose,
            state=self.state,
            obstacle=None,
            status_reason=self.status_reason,
            exit_code=end.exit_code,
            reason=end.reason,
            queue_arn=self.request.queue_arn,
            definition_arn=self.request.definition_arn,
            image=self.definition.image,
            log_group="/vision/jobs",
            log_stream=self.stream,
            cluster_instance_arn=self.host.arn if self.host else "",
            attempts=len(self.ends),
            created_ms=self.created_ms,
            started_ms=self.started_ms,
            stopped_ms=self.stopped_ms,
            attempt_reasons=tuple(one.reason or one.status_reason for one in self.ends),
            is_ending=self.ordered is not None,
            replaces=self.request.tags.get(Tag.REPLACES, ""),
        )
        reason = str(self.seen.get("status_reason", self.status_reason))
        obstacle = next((found for begin, found in _OBSTACLES.items() if reason.startswith(begin)), None)
        return replace(made, **{"obstacle": obstacle, **self.seen})
