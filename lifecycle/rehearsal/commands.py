"""Run capctl as its users do: one process per command, result from stdout, exit code checked."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.errors import CapctlError, ExitCode

STOP_GRACE_S = 100  # a command that is told to stop waits for Packer, Pulumi or a job to clean up


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed and how it ended."""

    document: dict[str, Any]
    exit_code: int
    log: str


class Capctl:
    """The command, in the environment of one rehearsal."""

    def __init__(self, environment: Mapping[str, str], *, log: Path, unset: tuple[str, ...] = ()) -> None:
        outer = {name: value for name, value in os.environ.items() if name not in unset}
        self._environment = {**outer, **environment}
        self._log = log

    def __call__(self, *arguments: str, expect: ExitCode = ExitCode.DONE) -> Answer:
        """Run `capctl -o json ARGUMENTS`. Raises `CapctlError` for another exit code than `expect`, with the end of its log."""
        command = [sys.executable, "-m", "lifecycle", "-o", "json", "-v", *arguments]
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C reaches the rehearsal first, which then ends the command in good order
        )
        try:
            out, err = process.communicate()
        except BaseException:
            _stop(process)
            raise
        with self._log.open("a") as log:
            log.write(f"$ capctl {' '.join(arguments)}\n{err}{out}exit {process.returncode}\n\n")
        if process.returncode != expect:
            raise CapctlError(
                "rehearsal-step",
                f"`capctl {' '.join(arguments)}` ended with exit code {process.returncode}, expected {int(expect)}",
                hint=f"Read `{self._log}`",
                details=tuple(err.strip().splitlines()[-15:]),
            )
        return Answer(document=json.loads(out) if out.strip() else {}, exit_code=process.returncode, log=err)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
