"""Spinners and bars, by rich; imported only where there is a terminal to draw on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from lifecycle.domain.measures import size_text


class LiveDisplay:
    """One region at the foot of the terminal with a row per open step or total; it is there only while a row is open."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        console = Console(file=stream, no_color=not colour, highlight=False, force_terminal=True)
        self._progress = Progress(
            SpinnerColumn(),
            TimeElapsedColumn(),
            _Title(table_column=Column(ratio=1)),
            _Bar(bar_width=24),
            _Amount(),
            console=console,
            transient=True,
            expand=True,
        )
        self._open = 0
        self._lock = Lock()

    @property
    def active(self) -> bool:
        return self._open > 0

    def print_above(self, line: str) -> None:
        """A line that stays; ANSI styles in it are kept."""
        self._progress.console.print(Text.from_ansi(line), soft_wrap=True)

    @contextmanager
    def row(self, title: str) -> Iterator[None]:
        """A spinner."""
        with self._task(title, None, ""):
            yield

    @contextmanager
    def bar(self, title: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """A bar; call what it yields with the units done."""
        with self._task(title, total, unit) as task:
            yield lambda amount: self._progress.advance(task, amount)

    @contextmanager
    def _task(self, title: str, total: int | None, unit: str) -> Iterator[TaskID]:
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._progress.start()
        task = self._progress.add_task(title, total=total, unit=unit)
        try:
            yield task
        finally:
            self._progress.remove_task(task)
            with self._lock:
                self._open -= 1
                if self._open == 0:
                    self._progress.stop()


class _Title(ProgressColumn):
    """What is done, on one line, in what the other columns leave of the width: it is cut, and never the clock."""

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Bar(BarColumn):
    """A bar for rows that have a total."""

    def render(self, task: Task) -> Text:  # type: ignore[override]
        return super().render(task) if task.total is not None else Text()  # type: ignore[return-value]


class _Amount(ProgressColumn):
    """Done of total, in the row's unit."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        done, total = int(task.completed), int(task.total)
        if task.fields["unit"] == "B":
            return Text(f"{size_text(done)} of {size_text(total)}")
        return Text(f"{done} of {total} {task.fields['unit']}")
