"""The record of mutations."""

from dataclasses import dataclass
from typing import Protocol

# The outcome of a step that has not ended; its end is a line of its own.
BEGUN = "begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """The begin or the end of one mutation. `at` is ISO 8601 in UTC."""

    at: str
    run_id: str
    user: str
    command: str
    step: str
    outcome: str
    why: str


class Journal(Protocol):
    """Append-only."""

    def append(self, entry: JournalEntry) -> None:
        """Write one line; it is on disk when this returns. Raises `CapctlError("journal-unwritable")`."""

    def entries(self) -> tuple[JournalEntry, ...]:
        """All lines, oldest first."""
