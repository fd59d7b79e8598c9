"""The log of a job, for people."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from lifecycle.cli.render import time_text

if TYPE_CHECKING:
    from lifecycle.ports.jobs import LogLine

# Under these names loggers put what a line says; the first one that is there is taken.
_LEVELS = ("level", "severity", "levelname")
_MESSAGES = ("message", "msg", "event")


def line_text(line: LogLine) -> str:
    """`time message`; of a JSON object `time level message key=value …`, without what is empty."""
    return f"{time_text(line.at_ms)} {_plain(line.message)}".rstrip()


def _plain(message: str) -> str:
    if not message.startswith("{"):
        return message
    try:
        found = json.loads(message)
    except ValueError:
        return message
    told = {name: value for name, value in found.items() if value not in ("", None)}
    first = [_taken(told, names) for names in (_LEVELS, _MESSAGES)]
    return " ".join([*filter(None, first), *(f"{name}={_value(value)}" for name, value in told.items())])


def _taken(told: dict[str, Any], names: tuple[str, ...]) -> str:
    name = next((name for name in names if isinstance(told.get(name), str)), "")
    return str(told.pop(name)) if name else ""


def _value(value: object) -> str:
    """A word as it is; text with spaces in quotes; anything else as JSON."""
    return shlex.quote(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
