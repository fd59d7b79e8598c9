"""The journal as JSON lines in a file."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from lifecycle.errors import CapctlError
from lifecycle.ports.journal import JournalEntry


class FileJournal:
    """`ports.Journal` in one append-only file; a line is written with one call, so that two commands never mix theirs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: JournalEntry) -> None:
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise CapctlError(
                "journal-unwritable",
                f"The journal `{self._path}` cannot be written: {error.strerror}",
                hint="Make the folder of capctl.yaml writable, or run capctl elsewhere",
            ) from error

    def entries(self) -> tuple[JournalEntry, ...]:
        try:
            text = self._path.read_text(errors="replace")
        except FileNotFoundError:
            return ()
        entries = (_entry(line) for line in text.splitlines())
        return tuple(entry for entry in entries if entry)


def _entry(line: str) -> JournalEntry | None:
    """None for a line that a crash cut off, or that somebody else wrote: a journal that cannot be read blocks nothing."""
    try:
        return JournalEntry(**json.loads(line))
    except (ValueError, TypeError):
        return None
