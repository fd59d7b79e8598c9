"""Tables, times and digests for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.domain.digest import brief
from lifecycle.domain.moments import moment_text
from lifecycle.domain.visible import visible

if TYPE_CHECKING:
    from lifecycle.domain.check import Check

_URL_FOLDERS = re.compile(r"s3://\S*/")
# Narrower than this a cut cell tells nothing.
_NARROWEST = 8


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, prose: Collection[str] = ()) -> str:
    """Left-aligned columns, two spaces apart. On a terminal that is too narrow the columns of `prose` are cut; the others hold what
    people copy and are whole, as everything is where stdout is no terminal.

    No colour, so that it reads the same in a log.
    """
    may_cut = [place for place, name in enumerate(header) if name in prose]
    return columns((header, *rows), width=_screen_width(), may_cut=may_cut)


def columns(lines: Iterable[Sequence[object]], *, width: int | None, may_cut: Sequence[int] = ()) -> str:
    """Left-aligned columns; cells of the widest in `may_cut` are cut with `…` until a line has at most `width` characters.

    A row is one line, whatever stands in its cells.
    """
    texts = [tuple(visible(str(cell)) for cell in line) for line in lines]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    excess = sum(widths) + 2 * (len(widths) - 1) - width if width is not None else 0
    for _ in range(excess):
        widest = max(may_cut, key=lambda place: widths[place], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return "\n".join(
        "  ".join(_cut(cell, room).ljust(room) for cell, room in zip(line, widths, strict=True)).rstrip()
        for line in texts
    )


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """One line per field: its name, then its value; yes and no, and `-` for what is not known."""
    return columns(((name, value_text(value)) for name, value in pairs), width=None)


def value_text(value: object) -> str:
    """A value as people write it."""
    match value:
        case None | "" | () | []:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def check_table(checks: Iterable[Check], *, not_checked: Iterable[str] = ()) -> str:
    """One line per check, then one per thing that none of them covers."""
    rows = [("ok" if check.ok else "failed", check.name, brief(check.expected), brief(check.found)) for check in checks]
    checked = table(("", "check", "expected", "found"), rows, prose=("expected", "found"))
    return "\n".join((checked, *(f"not checked: {name}" for name in not_checked)))


def without_folders(text: str) -> str:
    """`text` with each S3 address cut to its last part."""
    return _URL_FOLDERS.sub("", text)


def time_text(moment: str | int) -> str:
    """`2026-11-21 15:07:02Z`, from ISO 8601 or from milliseconds since the epoch; `-` for 0 and for no text."""
    if not moment:
        return "-"
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    return moment_text(at)


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"


def _screen_width() -> int | None:
    """The terminal's width; None where stdout is a file or a pipe."""
    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns
