"""Whether a file is a lock: pip tells it late, after it has asked an index, and in other words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from images.errors import BaseInvalid

_HINT = (
    "Lock the requirements with hashes, as `pip-compile --generate-hashes` or `uv pip compile --generate-hashes` does"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?\s*(?:==|@)")


def require_lock(text: str, name: str) -> None:
    """Raises: BaseInvalid, naming the first line of the lock `name` that is no requirement with its version and hash."""
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            continue
        if not _NAME.match(line):
            message = f"`{name}` is no lock: line {number} is no requirement with its version, `{line[:80]}`"
            raise BaseInvalid(message, hint=_HINT)
        if "--hash=" not in line:
            message = f"`{line.split()[0]}` has no hash in the lock `{name}`, line {number}"
            raise BaseInvalid(message, hint=_HINT)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each with the number of its first line, without comments."""
    parts: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(?:^|\s)#.*", "", line).strip()
        first = first or number
        parts.append(bare.rstrip("\\").strip())
        if bare.endswith("\\"):
            continue
        if whole := " ".join(filter(None, parts)):
            yield first, whole
        parts, first = [], 0
    if whole := " ".join(filter(None, parts)):
        yield first, whole
