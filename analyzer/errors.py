"""Typed failures of the analyzer and the exit codes that a job queue's retry rules read."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Stable exit codes; retry only `UNAVAILABLE` and `INTERRUPTED`."""

    OK = 0
    USAGE = 64
    INPUT = 65
    UNAVAILABLE = 69
    BUG = 70
    INTERRUPTED = 75
    MISMATCH = 78

    @property
    def meaning(self) -> str:
        """A few words."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.USAGE: "bad arguments",
    ExitCode.INPUT: "unreadable input",
    ExitCode.UNAVAILABLE: "dependency down or disk full",
    ExitCode.BUG: "a fault in the job's own code",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.MISMATCH: "configuration or model mismatch",
}


class AnalyzerError(Exception):
    """A failure that the user can act on.

    `code` is kebab-case, `message` says what, which and why in one sentence, `hint` says what next.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class RequestInvalid(AnalyzerError):
    """An argument or an environment variable is missing or malformed, or names a place that is another session's."""

    exit_code = ExitCode.USAGE


class InputUnreadable(AnalyzerError):
    """The video is absent, is not a video, or nothing in it decodes; trying again will not help."""

    exit_code = ExitCode.INPUT


class DependencyDown(AnalyzerError):
    """Object store, database or disk did not serve; trying again may help."""

    exit_code = ExitCode.UNAVAILABLE


class ScratchUnusable(DependencyDown):
    """The folder for temporary files does not take or give what a job keeps there."""

    def __init__(self, error: OSError) -> None:
        what = f"Scratch space failed: {error.strerror or error}"
        super().__init__("scratch-unusable", what, hint="Check the job's disk and TMPDIR")


class Mismatch(AnalyzerError):
    """Configuration, credentials, model files or what was stored before are not what the job was told to run with."""

    exit_code = ExitCode.MISMATCH


class Busy(AnalyzerError):
    """Another attempt works on the same session; when that ends, there is nothing to do, or something to go on with."""

    exit_code = ExitCode.INTERRUPTED


class OutOfMemory(AnalyzerError):
    """Even without a captioner one picture lacks memory now; another machine, or this one when it is free, may have it."""

    exit_code = ExitCode.INTERRUPTED


class Superseded(AnalyzerError):
    """Another attempt has taken this one's session, because it looked dead."""

    exit_code = ExitCode.INTERRUPTED


class RowsInvalid(AnalyzerError):
    """Rows that no store can take, or that contradict rows of the same session: a fault of whoever made them."""


class TriedTooOften(AnalyzerError):
    """As many attempts as whoever orders the work allows have ended in vain; the next one would too."""


class Interrupted(BaseException):
    """SIGTERM or SIGINT arrived, or whoever ordered the work asked for its end; `by` says which.

    Not an `Exception`, so that no retry loop or broad `except Exception` in a library can swallow it.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERRUPTED

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by
