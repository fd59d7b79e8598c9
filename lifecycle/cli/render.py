"""Tables, times and digests for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING

from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted
from lifecycle.domain.moments import moment_text
from lifecycle.domain.visible import visible

if TYPE_CHECKING:
    from lifecycle.domain.check import Check

_URL_FOLDERS = re.compile(r"s3://\S*/")
# A narrower column would be a stalk of single words.
_NARROWEST = 20
_REASONS = 3  # reasons for one thing that are told; its document has all
_INDENT = "    "


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, prose: Collection[str] = ()) -> str:
    """Left-aligned columns, two spaces apart; on a terminal as wide as it is, elsewhere one line per row. See `fitted`.

    No colour, so that it reads the same in a log.
    """
    return fitted(header, rows, prose=prose, width=_screen_width())


def fitted(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, prose: Collection[str], width: int | None
) -> str:
    """A table of at most `width` characters: the columns of `prose` are folded, and where that is not enough the last of them stand in
    lines of their own below each row, unless they are empty or repeat a cell of it. The others hold what people copy and are whole, as
    is every word; so a line may still be wider.
    """
    texts = _texts((header, *rows))
    beside = list(range(len(header)))
    may_fold = [place for place in beside if header[place] in prose]
    while may_fold and not _fits(*_picked(texts, beside, may_fold), width):
        beside.remove(may_fold.pop())
    below = [place for place in range(len(header)) if place not in beside]
    shown, folding = _picked(texts, beside, may_fold)
    top, *groups = _folded(shown, folding, width)
    for row, above, group in zip(texts[1:], shown[1:], groups, strict=True):
        told = [f"{header[place]}: {row[place]}" for place in below if row[place] not in {"", "-", *above}]
        top += (*group, *(line for text in told for line in _indented(text, width or 0)))
    return "\n".join(top)


def columns(lines: Iterable[Sequence[object]], *, width: int | None = None, may_fold: Sequence[int] = ()) -> str:
    """Left-aligned columns; cells of those in `may_fold` go on in further lines where a line would have more than `width` characters."""
    return "\n".join(line for group in _folded(_texts(lines), may_fold, width) for line in group)


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """One line per field: its name, then its value, folded to the width of a terminal; yes and no, and `-` for what is not known."""
    return columns(((name, brief(value_text(value))) for name, value in pairs), width=_screen_width(), may_fold=[1])


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


def reasons_text(reasons: Sequence[str]) -> str:
    """Why something stays or goes: the first reasons, and how many more there are."""
    more = len(reasons) - _REASONS
    return "; ".join((*reasons[:_REASONS], counted(more, "more reason")) if more > 0 else reasons)


def without_folders(text: str) -> str:
    """`text` with each S3 address cut to its last part."""
    return _URL_FOLDERS.sub("", text)


def time_text(moment: str | int) -> str:
    """`2026-11-21 15:07:02Z`, from ISO 8601 or from milliseconds since the epoch; `-` for 0 and for no text."""
    if not moment:
        return "-"
    at = datetime.fromtimestamp(moment / 1000, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    return moment_text(at)


def _texts(lines: Iterable[Sequence[object]]) -> list[tuple[str, ...]]:
    return [tuple(visible(str(cell)) for cell in line) for line in lines]


def _picked(
    texts: Iterable[Sequence[str]], beside: Sequence[int], may_fold: Iterable[int]
) -> tuple[list[tuple[str, ...]], list[int]]:
    """Only the columns `beside` each other, and which of these may be folded."""
    return [tuple(text[place] for place in beside) for text in texts], [beside.index(place) for place in may_fold]


def _fits(texts: Sequence[Sequence[str]], may_fold: Sequence[int], width: int | None) -> bool:
    return width is None or _line_width(_widths(texts, may_fold, width)) <= width


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _widths(texts: Sequence[Sequence[str]], may_fold: Sequence[int], width: int | None) -> list[int]:
    """The width of each column: as its widest cell, the widest of `may_fold` narrowed first."""
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    if width is None:
        return widths
    least = {
        place: max(_NARROWEST, *(len(word) for text in texts for word in text[place].split() or [""]))
        for place in may_fold
    }
    while _line_width(widths) > width:
        wider = [place for place in may_fold if widths[place] > least[place]]
        if not wider:
            break
        widths[max(wider, key=lambda place: widths[place])] -= 1
    return widths


def _folded(texts: Sequence[Sequence[str]], may_fold: Sequence[int], width: int | None) -> list[list[str]]:
    """The lines of each row."""
    widths = _widths(texts, may_fold, width)
    return [
        [
            "  ".join(part.ljust(room) for part, room in zip(parts, widths, strict=True)).rstrip()
            for parts in zip_longest(*map(_fold, text, widths), fillvalue="")
        ]
        for text in texts
    ]


def _fold(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else wrap(cell, width, break_long_words=False, break_on_hyphens=False)


def _indented(text: str, width: int) -> list[str]:
    return [f"{_INDENT}{line}" for line in _fold(text, max(width - len(_INDENT), _NARROWEST))]


def _screen_width() -> int | None:
    """The terminal's width; None where stdout is a file or a pipe."""
    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns
