"""The failures capctl reports: one exit-code table, one class per exit code, one table of error codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; scripts may rely on these numbers."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    DENIED = 4
    TIMED_OUT = 5
    PARTLY_APPLIED = 6
    ROLLED_BACK = 7
    BUG = 70
    INTERRUPTED = 130


EXIT_CODES: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage or configuration",
    ExitCode.INCONCLUSIVE: "inconclusive: no capacity, nothing was proven either way",
    ExitCode.DENIED: "credentials or permission",
    ExitCode.TIMED_OUT: "timed out",
    ExitCode.PARTLY_APPLIED: "partly applied: run again, or clean up as the hint says",
    ExitCode.ROLLED_BACK: "rolled back: the former state is back in place",
    ExitCode.BUG: "bug in capctl",
    ExitCode.INTERRUPTED: "interrupted",
}


class CapctlError(Exception):
    """A failure with a stable kebab-case `code`, one sentence that says what and which, and a hint that says what next.

    `details` are further lines, such as the end of another program's log. `is_answered` says that the command's document is on
    stdout already and tells of the failure, so that no second one may follow.
    """

    exit_code = ExitCode.FAILED
    is_answered = False

    def __init__(self, code: str, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details


class UsageError(CapctlError):
    """The command line or the configuration is wrong; nothing was done."""

    exit_code = ExitCode.USAGE


class Inconclusive(CapctlError):
    """Neither success nor failure could be proven, for example because there was no capacity."""

    exit_code = ExitCode.INCONCLUSIVE


class Denied(CapctlError):
    """Credentials are missing, expired, or do not allow the call."""

    exit_code = ExitCode.DENIED


class TimedOut(CapctlError):
    """A wait ended before its condition came true."""

    exit_code = ExitCode.TIMED_OUT


class PartlyApplied(CapctlError):
    """Some steps were applied and could not be undone."""

    exit_code = ExitCode.PARTLY_APPLIED


class RolledBack(CapctlError):
    """A step failed and the former state was restored."""

    exit_code = ExitCode.ROLLED_BACK


class Interrupted(CapctlError):
    """SIGINT or SIGTERM ended the command; what it had started was stopped."""

    exit_code = ExitCode.INTERRUPTED


ERROR_CODES: dict[str, str] = {
    "bug": "capctl failed in a way that nobody foresaw; the crash log says where",
    "command-unknown": "there is no such command",
    "config-exists": "`init` does not overwrite a configuration file",
    "config-invalid": "the configuration has mistakes; each is named with line and column, or its variable",
    "config-missing": "there is no configuration file",
    "config-unreadable": "the configuration file cannot be read",
    "config-unwritable": "the configuration file cannot be written",
    "confirmation-needed": "the command asks before it acts and there is no terminal to ask on",
    "interrupted": "a signal ended the command",
    "journal-unwritable": "the journal of mutations cannot be written, so nothing may be changed",
    "option-invalid": "an option's value does not fit the configuration",
    "target-unclear": "there are several targets and none was chosen",
    "target-unknown": "the configuration has no target of this name",
    "undo-failed": "a step failed and the former state could not be restored",
    "usage": "the command line is wrong",
}
