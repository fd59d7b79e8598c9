"""A figure, the bound it is held to, and tables of them."""

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("figure", "measured", "bound", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `met` is None where there is no bound, or where what it compares with is not installed."""

    name: str
    measured: str
    bound: str = "none"
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        return self.name, self.measured, self.bound, {True: "yes", False: "NO", None: "-"}[self.met]


def text_table(figures: Sequence[Figure]) -> str:
    """The figures in columns, for a terminal."""
    rows = [HEAD, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown_table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [HEAD, ("---",) * len(HEAD), *(figure.cells for figure in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
