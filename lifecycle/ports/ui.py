"""What a person sees while a command runs; all of it on stderr, results go to stdout elsewhere."""

from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """A running total."""

    def advance(self, amount: int) -> None:
        """`amount` more units are done; may be called from any thread."""


class Ui(Protocol):
    """Messages by intent."""

    def note(self, message: str) -> None:
        """A line worth keeping; hidden by `-q`."""

    def detail(self, message: str) -> None:
        """A line for `-v`."""

    def warn(self, message: str) -> None:
        """A line that `-q` does not hide."""

    def step(self, title: str, *, is_row: bool = False) -> AbstractContextManager["StepReport"]:
        """A step with its duration and outcome, whose begin a log tells too unless it is a row of a table; an exception marks it failed.

        Hidden by `-q`: who catches the exception tells of it.
        """

    def progress(self, title: str, total: int, *, unit: str = "B") -> AbstractContextManager[Progress]:
        """A progress bar on a terminal; a line at the start and the end elsewhere."""

    def confirm(self, question: str) -> bool:
        """Ask; raises as `require_answers`."""

    def require_answers(self) -> None:
        """Raises `UsageError` where nobody would answer: there is no terminal and `--yes` was not given."""


class StepReport(Protocol):
    """The open step."""

    def done(self, outcome: str) -> None:
        """What came of it, in a few words."""
