"""The log of a job, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.render import time_text
from lifecycle.domain.log_text import plain_text

if TYPE_CHECKING:
    from lifecycle.ports.jobs import LogLine


def line_text(line: LogLine) -> str:
    """`time message`; of a JSON object `time level message key=value …`, without what is empty."""
    return f"{time_text(line.at_ms)} {plain_text(line.message)}".rstrip()
