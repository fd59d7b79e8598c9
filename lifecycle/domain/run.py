"""One run of one command: who, when, why, and the id that marks all it makes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`id` is on every resource the run makes, so that a dead run's leftovers can be found."""

    id: str
    command: str
    user: str
    reason: str = ""
