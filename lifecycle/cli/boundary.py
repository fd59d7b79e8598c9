"""Where a command line ends: errors become messages and exit codes, signals become errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import click

from lifecycle.cli.context import Declined, Invocation, wants_json
from lifecycle.cli.signals import AGAIN, signals_as_errors
from lifecycle.errors import CapctlError, ExitCode, Interrupted, UsageError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_SHOW_CURSOR = "\x1b[?25h\n"


def run_command_line(root: click.Command, arguments: Sequence[str], invocation: Invocation | None = None) -> int:
    """Run `root` and return its exit code. With CAPCTL_DEBUG=1 every failure shows its traceback too."""
    words = list(arguments)
    try:
        with signals_as_errors(partial(_give_up, words)):
            result = root.main(words, prog_name="capctl", standalone_mode=False, obj=invocation or Invocation())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(ExitCode.FAILED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except Exception as error:
        failure = _as_failure(error, words)
        _show_traceback()
        report(failure, as_json=wants_json(words))
        return int(failure.exit_code)
    # `--help` and `--version` give click's own code here; commands return nothing
    return result if type(result) is int else int(ExitCode.DONE)


def _interruption(error: BaseException | None) -> Interrupted | None:
    """The signal behind an error: Python's own machinery wraps what is raised in the midst of it, such as in the making of a class."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__cause__ or error.__context__
    return error


def _as_failure(error: Exception, words: list[str]) -> CapctlError:
    if isinstance(error, CapctlError):
        return error
    if isinstance(error, click.Abort):
        return Interrupted("interrupted", "The command was interrupted")
    if signal_behind := _interruption(error):
        return signal_behind
    if isinstance(error, click.ClickException):
        return _usage_error(error)
    if isinstance(error, OSError) and (error.filename or error.errno in _NO_ROOM):
        return _unusable(error)
    from lifecycle.cli.crash import record_crash

    return record_crash(error, words)


def _unusable(error: OSError) -> CapctlError:
    """A file or folder of this machine, wherever it was met: too many places write for each to say the same."""
    name = error.filename2 or error.filename
    which = f"`{name}`" if name else "A file"
    return CapctlError(
        "file-unusable",
        f"{which} cannot be used: {error.strerror}",
        hint="Check that it is what its name says, its permissions and the free space, then run the command again",
    )


def _usage_error(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "capctl"
    return UsageError("usage", error.format_message().rstrip("."), hint=f"See `{command} --help`")


def report(error: CapctlError, *, as_json: bool) -> None:
    """Say what went wrong on stderr; under `-o json` as one document on stdout too, and only there if both are one terminal."""
    try:
        if as_json and not error.is_answered:
            import json

            from lifecycle.cli import documents

            document = {"schema": "capctl.error/1", **documents.error(error)}
            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
            if _is_one_terminal():
                return
        click.echo(render_error(error, colour=sys.stderr.isatty() and not os.environ.get("NO_COLOR")), err=True)
    except BrokenPipeError:
        pass


def _is_one_terminal() -> bool:
    both = sys.stdout.isatty() and sys.stderr.isatty()
    return both and os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())


def render_error(error: CapctlError, *, colour: bool = False) -> str:
    """`error[code]: message`, details indented, `hint: …`; the bare message when somebody decided not to go on."""
    if isinstance(error, Declined):
        return error.message
    label = f"error[{error.code}]:"
    from lifecycle.domain.digest import brief
    from lifecycle.domain.visible import visible

    lines = [f"{click.style(label, fg='red', bold=True) if colour else label} {visible(error.message)}"]
    lines += [f"  {visible(brief(line), lines=True)}" for detail in error.details for line in detail.splitlines()]
    if error.hint:
        lines.append(f"{click.style('hint:', fg='cyan') if colour else 'hint:'} {visible(error.hint)}")
    return "\n".join(lines)


def _show_traceback() -> None:
    if os.environ.get("CAPCTL_DEBUG") == "1":
        import traceback

        click.echo(traceback.format_exc(), err=True)


def _give_up(words: list[str]) -> None:
    """End without another word of anybody's clean-up; by `os.write`, since the signal may have come in the middle of a print."""
    sweep = (
        "Run `capctl ami sweep` to remove what a bake left; of anything else the same command goes on from what exists"
    )
    again = Interrupted(
        "interrupted",
        "The command was interrupted again, before everything was cleaned up",
        hint=sweep if "ami" in words else AGAIN,
    )
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    # The live display hid the cursor, and its row is still there.
    with suppress(OSError):
        os.write(2, f"{_SHOW_CURSOR if is_terminal else ''}{render_error(again)}\n".encode())
    os._exit(int(again.exit_code))
