"""How many jobs of a release are where."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.domain.job import JobState

# Of a release with more, the newest: as many as Batch shows at once, so that a look at releases costs a call for each.
COUNTED = 100
_RUNNING = {JobState.STARTING, JobState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """Jobs by what people ask for. `waiting` have no host yet; ended ones count as long as Batch keeps them, some days.

    `is_complete` is False where only the newest jobs were counted.
    """

    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    is_complete: bool = True

    @property
    def total(self) -> int:
        """How many were counted."""
        return self.waiting + self.running + self.succeeded + self.failed


def count_states(states: Iterable[JobState], *, is_complete: bool = True) -> JobCounts:
    """The counts of jobs in these states; one that is in a state which Batch has learnt since waits."""
    found = Counter(_place(state) for state in states)
    return JobCounts(
        waiting=found["waiting"],
        running=found["running"],
        succeeded=found["succeeded"],
        failed=found["failed"],
        is_complete=is_complete,
    )


def _place(state: JobState) -> str:
    if state.is_final:
        return state.lower()
    return "running" if state in _RUNNING else "waiting"
