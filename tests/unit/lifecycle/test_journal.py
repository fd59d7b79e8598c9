"""The journal in a file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifecycle.adapters.journal_file import FileJournal
from lifecycle.errors import CapctlError
from lifecycle.ports.journal import JournalEntry


def _entry(step: str) -> JournalEntry:
    return JournalEntry(
        at="2026-01-01T00:00:00+00:00",
        run_id="run-1",
        user="me",
        command="capctl deploy",
        step=step,
        outcome="done",
        why="asked",
    )


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"hello", b"[1]", b"{}", b'{"half":', b""])
def test_a_damaged_line_is_left_out(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(damage + b"\n")
    journal = FileJournal(path)
    journal.append(_entry("a"))
    assert [entry.step for entry in journal.entries()] == ["a"]


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = FileJournal(path)
    journal.append(_entry("a"))
    with path.open("a") as file:
        file.write('{"at": "2026')
    assert [entry.step for entry in journal.entries()] == ["a"]


def test_lines_of_two_commands_never_mix(tmp_path: Path) -> None:
    journals = [FileJournal(tmp_path / "journal.jsonl") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda journal: [journal.append(_entry("x" * 5000)) for _ in range(10)], journals))
    assert len(journals[0].entries()) == 80


def test_a_journal_that_cannot_be_written_is_an_error_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CapctlError) as caught:
        FileJournal(tmp_path / "file" / "journal.jsonl").append(_entry("a"))
    assert caught.value.code == "journal-unwritable"
