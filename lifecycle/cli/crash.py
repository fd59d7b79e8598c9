"""What is kept of an unexpected failure."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
import traceback
from pathlib import Path

from lifecycle.errors import CapctlError, ExitCode


class Bug(CapctlError):
    """An exception that nobody foresaw."""

    exit_code = ExitCode.BUG


def record_crash(error: Exception, words: list[str]) -> Bug:
    """Write the traceback to a file of its own in the state folder; returns an error that names the file."""
    what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    try:
        path = _state_folder() / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as log:
            log.write(_log(error, words))
    except OSError as unwritable:
        return Bug("bug", what, hint="Run again with CAPCTL_DEBUG=1 and report it", details=(str(unwritable),))
    return Bug("bug", what, hint=f"Report it with `{path}`")


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "capctl"


def _log(error: Exception, words: list[str]) -> str:
    head = (
        f"command: capctl {shlex.join(map(_without_value, words))}",
        f"python: {platform.python_version()} ({sys.executable})",
        f"machine: {platform.platform()}",
    )
    return "\n".join((*head, "", *traceback.format_exception(error)))


def _without_value(word: str) -> str:
    """`NAME=value` may carry a password, and the log is made to be sent to somebody."""
    name, equals, _ = word.partition("=")
    return f"{name}=***" if equals else word
