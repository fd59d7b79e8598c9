"""Times each step of a scene and keeps its row for the report."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal.report import Row


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

    @contextmanager
    def step(self, name: str, *standins: str | None) -> Iterator[Entry]:
        """Run a step; a failure is recorded as its result and goes on upwards.

        `standins` say why parts that it uses are not real here; None for one that is.
        """
        entry, started = Entry(tuple(why for why in standins if why)), time.monotonic()
        try:
            with self.ui.step(name) as report:
                yield entry
                report.done(entry.result)
        except CapctlError as error:
            entry.result = f"FAILED: {error.message}"
            raise
        finally:
            self.rows.append(
                Row(
                    name=name,
                    seconds=time.monotonic() - started,
                    standins=entry.standins,
                    result=entry.result or "FAILED",
                )
            )
