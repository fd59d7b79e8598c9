"""`ports.Ui` that remembers what a person would have seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from lifecycle.errors import UsageError


class FakeUi:
    """`lines` holds what was said, in order; `answers` are given to `confirm` one by one, and without one there is no terminal."""

    def __init__(self, *, answers: tuple[bool, ...] = ()) -> None:
        self.lines: list[str] = []
        self.totals: dict[str, int] = {}
        self._answers = list(answers)
        self._lock = Lock()

    def note(self, message: str) -> None:
        self.lines.append(message)

    def detail(self, message: str) -> None:
        self.lines.append(f"detail: {message}")

    def warn(self, message: str) -> None:
        self.lines.append(f"warning: {message}")

    @contextmanager
    def step(self, title: str, *, is_row: bool = False) -> Iterator["FakeReport"]:
        report = FakeReport()
        try:
            yield report
        except BaseException:
            self.lines.append(f"✗ {title}")
            raise
        self.lines.append(f"✓ {title}: {report.outcome}".removesuffix(": "))

    @contextmanager
    def progress(self, title: str, total: int, *, unit: str = "B") -> Iterator["FakeProgress"]:
        self.totals[title] = 0
        yield FakeProgress(self.totals, title, self._lock)
        self.lines.append(f"{title}: {self.totals[title]} of {total} {unit}")

    def confirm(self, question: str) -> bool:
        self.require_answers()
        self.lines.append(question)
        return self._answers.pop(0)

    def require_answers(self) -> None:
        if not self._answers:
            raise UsageError("confirmation-needed", "There is no terminal to ask on", hint="Pass `--yes`")


class FakeReport:
    """The open step."""

    def __init__(self) -> None:
        self.outcome = ""

    def done(self, outcome: str) -> None:
        self.outcome = outcome


class FakeProgress:
    """A running total."""

    def __init__(self, totals: dict[str, int], title: str, lock: Lock) -> None:
        self._totals, self._title, self._lock = totals, title, lock

    def advance(self, amount: int) -> None:
        with self._lock:
            self._totals[self._title] += amount
