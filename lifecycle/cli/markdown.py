"""Text of others in Markdown: it may say anything, and mark up nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lifecycle.domain.visible import visible

# All that CommonMark, GitHub and GitLab give a meaning inside a line: emphasis, code, links, images, HTML, entities, tables, maths,
# mentions and references; and what they make links of.
_MARKS = re.compile(r"[\\`*_{}\[\]<>#+!|~&@$^=]|(?<=www)\.|:(?=//)", re.IGNORECASE)
_QUOTED = re.compile(r"(`[^`\n]+`)")
# In a table even code may not hold one as it stands.
_BAR = re.compile(r"(?<!\\)\|")
_BACKTICKS = re.compile(r"`+")


def prose(text: str) -> str:
    """`text` on one line as it stands, but for what it quotes in backticks, which is code."""
    parts = _QUOTED.split(visible(text.strip()))
    return "".join(code(part[1:-1]) if _QUOTED.fullmatch(part) else _escaped(part) for part in parts)


def code(text: str) -> str:
    """`text` on one line as code; "" as it is."""
    if not text:
        return ""
    fence = "`" * (_longest(text) + 1)
    # Next to a backtick, and for text of spaces, Markdown takes one space away on both sides.
    padded = f" {text} " if text[0] in "` " or text[-1] in "` " else text
    return f"{fence}{visible(padded)}{fence}"


def block(lines: Iterable[str]) -> str:
    """Lines as a block of code."""
    text = visible("\n".join(lines), lines=True)
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}text\n{text}\n{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of cells that `prose` or `code` made; a column whose name begins with `#` is of numbers."""
    names = [name.removeprefix("#") for name in header]
    rule = ["---:" if name.startswith("#") else "---" for name in header]
    cells = ([_BAR.sub(r"\|", cell) for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, rule, *cells))


def _escaped(text: str) -> str:
    return _MARKS.sub(lambda found: f"\\{found[0]}", text)


def _longest(text: str) -> int:
    return max(map(len, _BACKTICKS.findall(text)), default=0)
