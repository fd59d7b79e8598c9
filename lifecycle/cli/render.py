"""Tables for people."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, two spaces apart; no colour, so that it reads the same in a log."""
    lines = [tuple(map(str, row)) for row in rows]
    widths = [max(len(line[column]) for line in (tuple(header), *lines)) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (tuple(header), *lines)
    )
