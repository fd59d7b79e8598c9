"""`ports.Journal` in memory."""

from lifecycle.ports.journal import JournalEntry


class FakeJournal:
    """Append-only."""

    def __init__(self) -> None:
        self._entries: list[JournalEntry] = []

    def append(self, entry: JournalEntry) -> None:
        self._entries.append(entry)

    def entries(self) -> tuple[JournalEntry, ...]:
        return tuple(self._entries)
