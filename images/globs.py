"""Path globs with `**`, on `/`-separated relative paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=512)
def _compiled(glob: str) -> re.Pattern[str]:
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
    return re.compile("".join(pieces), re.DOTALL)


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether any glob covers the whole of `path`: `*` and `?` stay within one folder, `**` crosses folders."""
    return any(_compiled(glob).fullmatch(path) for glob in globs)
