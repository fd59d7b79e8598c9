"""Run capctl as its users do: one process per command, result from stdout, exit code checked."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.errors import CapctlError, ExitCode, Interrupted
from lifecycle.rehearsal.child import descendants

STOP_GRACE_S = 100  # a command that is told to stop waits for Packer, Pulumi or a job to clean up


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed and how it ended."""

    document: dict[str, Any]
    exit_code: int
    log: str


class Capctl:
    """The command, in the environment of one rehearsal. Threads may call it at the same time."""

    def __init__(self, environment: Mapping[str, str], *, log: Path, unset: tuple[str, ...] = ()) -> None:
        outer = {name: value for name, value in os.environ.items() if name not in unset}
        self._environment = {**outer, **environment}
        self._log = log
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def __call__(self, *arguments: str, expect: ExitCode = ExitCode.DONE) -> Answer:
        """Run `capctl -o json ARGUMENTS`. Raises `CapctlError` for another exit code than `expect`, with the end of its log."""
        process = self._start([sys.executable, "-m", "lifecycle", "-o", "json", "-v", *arguments])
        try:
            out, err = process.communicate()
        except BaseException:
            _stop(process)
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        with self._lock, self._log.open("a") as log:
            log.write(f"$ capctl {' '.join(arguments)}\n{err}{out}exit {process.returncode}\n\n")
        if self._stopped:
            raise Interrupted("interrupted", f"`capctl {' '.join(arguments)}` was interrupted")
        if process.returncode != expect:
            raise CapctlError(
                "rehearsal-step",
                f"`capctl {' '.join(arguments)}` ended with exit code {process.returncode}, expected {int(expect)}",
                hint=f"Read `{self._log}`",
                details=tuple(err.strip().splitlines()[-15:]),
            )
        return Answer(document=json.loads(out) if out.strip() else {}, exit_code=process.returncode, log=err)

    def kill(self, *arguments: str, at: str) -> None:
        """Start a command and, when it says `at`, kill it with all that it has started, as a machine that loses its power does.

        Raises `CapctlError("rehearsal-step")` when it ends before.
        """
        process = self._start([sys.executable, "-m", "lifecycle", "-v", *arguments])
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if at in line:
                    break
            # It would see its children end, and begin to clean up.
            process.send_signal(signal.SIGSTOP)
            for pid in (*descendants(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            status = process.wait()
            with self._lock:
                self._running.discard(process)
                with self._log.open("a") as log:
                    log.write(f"$ capctl {' '.join(arguments)}\n{''.join(said)}killed, exit {status}\n\n")
        if status != -signal.SIGKILL:
            raise CapctlError(
                "rehearsal-step",
                f"`capctl {' '.join(arguments)}` ended with exit code {status} before it said `{at}`",
                hint=f"Read `{self._log}`",
            )

    def stop(self) -> None:
        """End what runs, in good order; calls that wait for it, and every later one, raise `Interrupted`."""
        with self._lock:
            self._stopped = True
            running = tuple(self._running)
        for process in running:
            _stop(process)

    def _start(self, command: list[str]) -> "subprocess.Popen[str]":
        with self._lock:
            if self._stopped:
                raise Interrupted("interrupted", "The rehearsal was interrupted")
            process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a Ctrl-C reaches the rehearsal first, which then ends the command in good order
            )
            self._running.add(process)
        return process


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
