"""Times each step of a scene, shows it as a line of a table, and keeps its row for the report."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.domain.measures import duration_text
from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal.report import Row

_NAME_WIDTH, _TIME_WIDTH, _KIND_WIDTH = 27, 5, 9


class Entry:
    """The open step: set `result` to what came of it, and add to `standins` what it did without."""

    def __init__(self, standins: tuple[str, ...]) -> None:
        self.standins = standins
        self.result = ""


class Recorder:
    """Rows in the order in which the steps were played."""

    def __init__(self, ui: Ui) -> None:
        self.ui = ui
        self.rows: list[Row] = []

    def head(self) -> None:
        """Name the columns that the lines of the steps will have."""
        names = (f"{'step':<{_NAME_WIDTH}}", f"{'time':<{_TIME_WIDTH}}", f"{'kind':<{_KIND_WIDTH}}", "result")
        self.ui.note(f"  {'  '.join(names)}")

    @contextmanager
    def step(self, name: str, *standins: str | None) -> Iterator[Entry]:
        """Run a step; a failure is recorded as its result and goes on upwards.

        `standins` say why parts that it uses are not real here; None for one that is.
        """
        entry, started = Entry(tuple(why for why in standins if why)), time.monotonic()
        try:
            with self.ui.step(f"{name:<{_NAME_WIDTH}}", is_row=True) as report:
                yield entry
                report.done(_cells(self._row(name, entry, started)))
        except CapctlError as error:
            entry.result = f"FAILED: {error.message}"
            raise
        finally:
            self.rows.append(self._row(name, entry, started))

    def _row(self, name: str, entry: Entry, started: float) -> Row:
        seconds = time.monotonic() - started
        return Row(name=name, seconds=seconds, standins=entry.standins, result=entry.result or "FAILED")


def _cells(row: Row) -> str:
    """The columns after the time, which is written before them without any padding."""
    padding = " " * (_TIME_WIDTH - len(duration_text(row.seconds)))
    return f"{padding}{row.kind:<{_KIND_WIDTH}}  {row.result}"
