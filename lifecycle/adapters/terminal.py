"""`ports.Ui` on stderr: a live display on a terminal, the same lines without it elsewhere, and one when a step begins."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from lifecycle.domain.digest import brief
from lifecycle.domain.measures import duration_text, size_text
from lifecycle.domain.visible import visible
from lifecycle.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from lifecycle.adapters.live_display import LiveDisplay

_STYLES = {"good": "32", "bad": "31", "warning": "33", "faint": "2"}


class TerminalUi:
    """Verbosity is -1 (`-q`), 0 or 1 (`-v`). `NO_COLOR` and `TERM=dumb` are honoured; nothing depends on colour."""

    def __init__(
        self,
        *,
        verbosity: int = 0,
        assume_yes: bool = False,
        stream: TextIO | None = None,
        answers: TextIO | None = None,
        environment: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._answers = answers or sys.stdin
        self._verbosity = verbosity
        self._assume_yes = assume_yes
        self._monotonic = monotonic
        terminal = self._stream.isatty() and environment.get("TERM") != "dumb"
        self._colour = terminal and not environment.get("NO_COLOR")
        self._animate = terminal and verbosity >= 0
        self._has_unicode = (self._stream.encoding or "ascii").lower().replace("-", "") in {"utf8", "utf16"}
        self._live: LiveDisplay | None = None
        self._steps = 0  # that are open
        self._lock = Lock()

    def note(self, message: str) -> None:
        if self._verbosity >= 0:
            self._print(message)

    def detail(self, message: str) -> None:
        if self._verbosity > 0:
            self._print(message, style="faint")

    def warn(self, message: str) -> None:
        self._print(message, mark=self._styled("warning", "warning:"))

    @contextmanager
    def step(self, title: str, *, is_row: bool = False) -> Iterator[_Report]:
        report, started = _Report(), self._monotonic()
        with self._lock:
            self._steps += 1
            is_told = self._steps == 1 and not (is_row or self._animate)
        # A log has no live row that shows what is waited for; the steps within one show by their ends how far it is.
        (self.note if is_told else self.detail)(self._begun(title))
        try:
            with self._row(title):
                yield report
        except BaseException as error:
            why = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
            self._ended("bad", title, started, report.outcome or why)
            raise
        else:
            self._ended("good", title, started, report.outcome)
        finally:
            with self._lock:
                self._steps -= 1

    @contextmanager
    def progress(self, title: str, total: int, *, unit: str = "B") -> Iterator[_Total]:
        counted, started = _Total(), self._monotonic()
        if not self._animate:
            self.note(self._begun(f"{title}: {_amount(total, unit)}"))
            yield counted
            self.note(f"{title}: {_amount(counted.reached, unit)} in {duration_text(self._monotonic() - started)}")
            return
        with self._display().bar(_shown(title), total, unit) as advance:
            counted.watch(advance)
            yield counted

    def confirm(self, question: str) -> bool:
        self.require_answers()
        if self._assume_yes:
            return True
        self._stream.write(f"{_shown(question)} [y/N] ")
        self._stream.flush()
        try:
            answer = self._answers.readline()
        except (Interrupted, KeyboardInterrupt):
            self._stream.write("\n")
            raise Interrupted(
                "interrupted",
                "The command was interrupted at its question; nothing was changed",
                hint="Run it again, with `--yes` to go on without being asked",
            ) from None
        if not answer.endswith("\n"):  # the end of the input, which leaves the cursor behind the question
            self._stream.write("\n")
        return answer.strip().lower() in {"y", "yes"}

    def require_answers(self) -> None:
        if not (self._assume_yes or (self._stream.isatty() and self._answers.isatty())):
            raise UsageError(
                "confirmation-needed",
                "The command asks before it changes anything, there is no terminal to ask on, and `--yes` was not given",
                hint="Look at the plan with `--dry-run`, then pass `--yes`",
            )

    def _row(self, title: str) -> AbstractContextManager[None]:
        return self._display().row(_shown(title)) if self._animate else _nothing()

    def _display(self) -> LiveDisplay:
        if self._live is None:
            from lifecycle.adapters.live_display import LiveDisplay

            self._live = LiveDisplay(self._stream, colour=self._colour)
        return self._live

    def _ended(self, style: str, title: str, started: float, outcome: str) -> None:
        # Under `-q` too a failure is told once: as the error, or as the warning, that it amounts to.
        if self._verbosity >= 0:
            line = f"{title}  {duration_text(self._monotonic() - started)}  {outcome}".rstrip()
            self._print(line, mark=self._mark(style))

    def _begun(self, text: str) -> str:
        return f"{text} {'…' if self._has_unicode else '...'}"

    def _mark(self, style: str) -> str:
        mark, plain = ("✓", "ok") if style == "good" else ("✗", "failed")
        return self._styled(style, mark if self._has_unicode else plain)

    def _styled(self, style: str, text: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str, *, mark: str = "", style: str = "") -> None:
        line = self._styled(style, _shown(text)) if style else _shown(text)
        line = f"{mark} {line}" if mark else line
        with self._lock:
            if self._live and self._live.active:
                self._live.print_above(line)
                return
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except BrokenPipeError:
                pass  # whoever read stderr is gone; the work goes on


class _Report:
    """The open step: what came of it so far."""

    def __init__(self) -> None:
        self.outcome = ""

    def done(self, outcome: str) -> None:
        self.outcome = outcome


class _Total:
    """A running total; `advance` may be called from any thread."""

    def __init__(self) -> None:
        self.reached = 0
        self._lock = Lock()
        self._watcher: Callable[[int], None] = lambda _: None

    def watch(self, watcher: Callable[[int], None]) -> None:
        self._watcher = watcher

    def advance(self, amount: int) -> None:
        with self._lock:
            self.reached += amount
        self._watcher(amount)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _shown(text: str) -> str:
    return visible(brief(text), lines=True)


def _amount(count: int, unit: str) -> str:
    return size_text(count) if unit == "B" else f"{count} {unit}"
