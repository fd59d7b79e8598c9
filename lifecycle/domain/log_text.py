"""What a job wrote, for people."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

# Under these names loggers put what a line says; the first one that is there is taken.
_LEVELS = ("level", "severity", "levelname")
_MESSAGES = ("message", "msg", "event")
_LONGEST = 500  # characters; the log has all
# How a line begins that tells of an error: `error[code]: …`, `ERROR …`, `ValueError: …`.
_ERROR = re.compile(r"(?:\[?(?:error|fatal|critical)\b|(?:[a-z_]\w*\.)*[a-z_]\w*(?:error|exception):)", re.IGNORECASE)


def plain_text(message: str) -> str:
    """A line as it is; a JSON object as `level message key=value …`, without what is empty."""
    told = _object(message)
    if told is None:
        return message
    told = {name: value for name, value in told.items() if value not in ("", None)}
    first = [_taken(told, names) for names in (_LEVELS, _MESSAGES)]
    return " ".join([*filter(None, first), *(f"{name}={_value(value)}" for name, value in told.items())])


def last_error(messages: Sequence[str]) -> str:
    """The last line that tells of an error, as `plain_text`; the last one of any text where none does, "" of an empty log."""
    lines = [plain_text(message).strip() for message in messages]
    written = [line for line in lines if line]
    last = next((line for line in reversed(written) if _ERROR.match(line)), written[-1] if written else "")
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]}…"


def _object(message: str) -> dict[str, Any] | None:
    if not message.startswith("{"):
        return None
    try:
        found = json.loads(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _taken(told: dict[str, Any], names: tuple[str, ...]) -> str:
    name = next((name for name in names if isinstance(told.get(name), str)), "")
    return str(told.pop(name)) if name else ""


def _value(value: object) -> str:
    """A word as it is; text with spaces in quotes; anything else as JSON."""
    return shlex.quote(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
