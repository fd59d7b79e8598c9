"""Path globs with `**`, on `/`-separated relative paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=64)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_expression(glob) for glob in globs), re.DOTALL)


def _expression(glob: str) -> str:
    pieces: list[str] = []
    index = 0
    while index < len(glob):
        if glob.startswith("**/", index):
            pieces.append("(?:[^/]+/)*")
            index += 3
        elif glob.startswith("**", index):
            pieces.append(".*")
            index += 2
        elif glob[index] == "*":
            pieces.append("[^/]*")
            index += 1
        elif glob[index] == "?":
            pieces.append("[^/]")
            index += 1
        else:
            pieces.append(re.escape(glob[index]))
            index += 1
    return "".join(pieces)


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether any glob covers the whole of `path`: `*` and `?` stay within one folder, `**` crosses folders."""
    chosen = tuple(globs)
    return bool(chosen) and _compiled(chosen).fullmatch(path) is not None
