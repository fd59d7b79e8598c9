"""Times each step of a scene and keeps its row for the report."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal.report import Kind, Row


class Entry:
    """The open step: set `result` to what came of it."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.result = ""


class Recorder:
    """Rows in the order in which the steps were played."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self.rows: list[Row] = []

    @contextmanager
    def step(self, name: str, kind: Kind = Kind.REAL) -> Iterator[Entry]:
        """Run a step; a failure is recorded as its result and goes on upwards."""
        entry, started = Entry(kind), time.monotonic()
        try:
            with self._ui.step(name) as report:
                yield entry
                report.done(entry.result)
        except CapctlError as error:
            entry.result = f"FAILED: {error.message}"
            raise
        finally:
            self.rows.append(
                Row(name=name, seconds=time.monotonic() - started, kind=entry.kind, result=entry.result or "FAILED")
            )
