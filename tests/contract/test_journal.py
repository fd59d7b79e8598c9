"""What every `ports.Journal` does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.adapters.journal_file import FileJournal
from lifecycle.ports.journal import BEGUN, Journal, JournalEntry
from tests.fakes.journal import FakeJournal

ENTRY = JournalEntry(
    at="2026-01-01T00:00:00+00:00",
    run_id="run-1",
    user="me",
    command="capctl deploy",
    step="create release ü",
    outcome=BEGUN,
    why='two lines:\n"and a quote"',
)

Opened = Callable[[], Journal]


@pytest.fixture(params=["fake", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """The same journal, as one more command opens it."""
    if request.param == "fake":
        journal = FakeJournal()
        return lambda: journal
    return lambda: FileJournal(tmp_path / ".capctl" / "journal.jsonl")


def test_journal_is_empty_before_the_first_entry(opened: Opened) -> None:
    assert opened().entries() == ()


def test_entry_is_there_for_every_command_when_append_returns(opened: Opened) -> None:
    opened().append(ENTRY)
    assert opened().entries() == (ENTRY,)


def test_entries_are_oldest_first_whatever_their_time_and_none_replaces_another(opened: Opened) -> None:
    earlier = replace(ENTRY, at="2025-01-01T00:00:00+00:00", outcome="done")
    for entry in (ENTRY, earlier, ENTRY):
        opened().append(entry)
    assert opened().entries() == (ENTRY, earlier, ENTRY)
