"""What Packer says with `-machine-readable`, and how it is made fit for a log."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PREFIX = re.compile(r"^(?:==>|-->)?\s*(?:[a-z-]+\.[a-z-]+:)?\s*")
_PRESIGNED = re.compile(r"(?P<place>https?://[^\s\"'?]+)\?[^\s\"']*X-Amz-[^\s\"']*")
_MASK = "<masked>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line: `type` such as `ui`, `artifact`, `error`; `data` with commas and line breaks restored."""

    type: str
    data: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`say` for a phase, `message` for a provisioner's line, `error` for a line of its stderr; "" for other types."""
        return self.data[0] if self.type == "ui" and len(self.data) > 1 else ""

    @property
    def text(self) -> str:
        """What a person reads, without the builder's name in front of every line."""
        raw = self.data[1] if self.kind else " ".join(self.data)
        return "\n".join(_PREFIX.sub("", line, count=1) for line in raw.strip().splitlines())


def parse(line: str) -> Record | None:
    """A record from `timestamp,target,type,data…`; None for a line of another form."""
    columns = line.rstrip("\n").split(",")
    if len(columns) < 3 or not columns[0].isdigit():
        return None
    return Record(type=columns[2], data=tuple(_restored(column) for column in columns[3:]))


class Mask:
    """Hides secrets: given literals, and the query of every presigned URL, which machine-readable output shows in full."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _PRESIGNED.sub(rf"\g<place>?{_MASK}", text)


def _restored(column: str) -> str:
    return column.replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")
