"""A child process of a rehearsal: started with its mark, watched until it is ready, stopped with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lifecycle.errors import CapctlError
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE


class PartFailed(CapctlError):
    """A part of the stage did not start; `details` are the last lines of its log."""

    def __init__(self, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__("rehearsal-part-failed", message, hint=hint, details=details)


class Child:
    """One process in a session of its own, whose output goes to `log`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        rehearsal: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **(environment or {}), REHEARSAL_VARIABLE: rehearsal},
            )

    def await_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Return when `ready` says so. Raises: PartFailed when the process ends first or the time is over; it is then stopped."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.stop()
                why = f"it ended with {ended}" if ended is not None else f"it was not ready after {timeout_s:g} s"
                message = f"the {self.name} did not start: {why}"
                raise PartFailed(message, details=self.last_lines())
            time.sleep(0.01)

    def stop(self, *, number: int = signal.SIGTERM, grace_s: float = 20.0) -> None:
        """Signal the process, wait, and kill what is left of its session."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return

    def last_lines(self, count: int = 10) -> tuple[str, ...]:
        return tuple(self.log.read_text(errors="replace").splitlines()[-count:])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    found, waiting = set[int](), [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = {int(child) for child in path.read_text().split()} - found
            except OSError:
                continue
            waiting += children
            found |= children
    return found
