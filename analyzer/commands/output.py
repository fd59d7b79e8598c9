"""What commands print: their results, and nothing else, go to standard output through here."""

from __future__ import annotations

import argparse
import os
import sys

from analyzer.errors import DependencyDown


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add `-o`, `--output`: what `options.output` says is `text` or `json`."""
    parser.add_argument("-o", "--output", default="text", choices=("text", "json"), help="default: text")


def write_out(text: str) -> None:
    """Write `text` and a final newline. A reader that has seen enough is no fault.

    Raises: DependencyDown, where what stands behind standard output does not take it.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # What is still to be flushed at the end goes nowhere, and cannot fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            what = f"Standard output cannot be written: {error.strerror or error}"
            raise DependencyDown("output-not-written", what, hint="Free space there, or write it elsewhere") from error
