"""One run of one command: who, when, why, and the id that marks all it makes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`id` is on every resource the run makes, so that a dead run's leftovers can be found. `host` is the name of the machine."""

    id: str
    command: str
    user: str
    reason: str = ""
    host: str = ""

    @property
    def who(self) -> str:
        """`user@host`, for others who look at what it did."""
        return f"{self.user}@{self.host}" if self.host else self.user
