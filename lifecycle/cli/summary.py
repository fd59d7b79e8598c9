"""The file of `--summary`: a page in Markdown, appended whatever came of the command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from lifecycle.ports.ui import Ui

Tell = Callable[[CapctlError | None], str]


class Summary:
    """What the page will be: `tell` makes it, from the failure with which the command ended, if any."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell


@contextmanager
def summary_of(path: Path | None, terminal: Ui, tell: Tell) -> Iterator[Summary]:
    """Append the page of the block to the file, which is tried first: nothing is done for a page that nobody will see.

    Raises `OSError` when the file cannot be written then; afterwards that is a warning, for what was done is done.
    """
    summary = Summary(tell)
    if path is None:
        yield summary
        return
    with path.open("a"):
        pass
    try:
        yield summary
    except Exception as error:
        failure = error if isinstance(error, CapctlError) else CapctlError("bug", f"{type(error).__name__}: {error}")
        _append(path, summary.tell(failure), terminal)
        raise
    _append(path, summary.tell(None), terminal)


def _append(path: Path, page: str, terminal: Ui) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        terminal.warn(f"The summary could not be written to `{path}`: {error.strerror}")


summary_option = click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append a page in Markdown to FILE that tells what came of it, whatever that is, such as $GITHUB_STEP_SUMMARY.",
)
