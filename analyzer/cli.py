"""The command line: a frame for the commands of `analyzer.commands`, and the one place where errors become exit codes."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from analyzer.commands.database import add_database
from analyzer.commands.job import add_job_commands
from analyzer.commands.models import add_models
from analyzer.commands.results import add_result_commands
from analyzer.commands.search import add_search
from analyzer.commands.serve import add_serve
from analyzer.commands.worker import add_worker
from analyzer.errors import Interrupted, RequestInvalid
from analyzer.failure import failure_of
from analyzer.interrupt import stop_signals_raise
from analyzer.runtime_contract import require_runtime


class _Parser(argparse.ArgumentParser):
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Here, not where all ends: the command that was given something unknown is the one whose help is named."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        raise RequestInvalid("usage", message, hint=f"See `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; prints errors to stderr, never a traceback for bad input."""
    if sys.stdout is None:
        # Whoever closed it wants no output, and what is opened next must not be taken for it.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        # Undecodable bytes of a file's name, and letters that a terminal has not, are escaped there as on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # Before anything else: as process 1 of a container, a signal without a handler is ignored.
        with stop_signals_raise():
            require_runtime(os.environ)
            options = _parser().parse_args(arguments)
            return int(options.command(options))
    except (Exception, Interrupted) as error:
        failure = failure_of(error)
        hint = f"hint: {failure.hint}\n" if failure.hint else ""
        sys.stderr.write(f"error[{failure.code}]: {failure.message}\n{hint}")
        return failure.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="analyzer", description="Find people in a video, with age and gender per track")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    add_job_commands(commands)
    add_worker(commands)
    add_serve(commands)
    add_result_commands(commands)
    add_search(commands)
    add_database(commands)
    add_models(commands)
    return parser
