"""The Packer program as a process group that is followed line by line and never outlives its caller."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TextIO

from packerpy import PackerExecutable

from lifecycle.errors import TimedOut
from lifecycle.ports.baker import GRACE_S
from lifecycle.ports.clock import Clock


class StreamingPacker(PackerExecutable):  # type: ignore[misc]
    """`PackerExecutable` whose lines reach `on_line` as they are written, and its process id `on_start`. Made for one command.

    The group gets SIGTERM when `timeout_s` is over, when `on_line` raises and when the caller is interrupted; it is awaited for
    `grace_s`, then killed. A second interruption during that wait kills it at once. Packer and its plugins get the descriptors `inherits`
    too.
    """

    def __init__(
        self,
        executable: str,
        *,
        folder: Path,
        environment: Mapping[str, str],
        timeout_s: float,
        clock: Clock,
        on_line: Callable[[str], None],
        on_start: Callable[[int], None] = lambda _: None,
        grace_s: float = GRACE_S,
        inherits: tuple[int, ...] = (),
    ) -> None:
        super().__init__(executable, machine_readable=True)
        self._folder = folder
        self._environment = dict(environment)
        self._timeout_s = timeout_s
        self._clock = clock
        self._on_line = on_line
        self._on_start = on_start
        self._grace_s = grace_s
        self._inherits = inherits

    @staticmethod
    def _explode_args(**options: Any) -> list[str]:
        """Lists repeat their flag, None is left out and booleans are written as Packer reads them."""
        flags: list[str] = []
        for key, value in options.items():
            flag = "-" + key.replace("_", "-")
            if isinstance(value, dict):
                for name, item in value.items():
                    flags += [flag, f"{name}={_written(item)}"]
            elif isinstance(value, list | tuple):
                flags += [f"{flag}={_written(item)}" for item in value]
            elif value is not None:
                flags.append(f"{flag}={_written(value)}")
        return flags

    def execute_cmd(self, packer_cmd: str, template: str | None = None, **options: Any) -> tuple[int, str, str]:
        """Run to the end. Returns (exit status, "", ""): the output went to `on_line`. Raises `TimedOut("bake-timed-out")`."""
        command = [
            *_bound_to_this_process(),
            self.configuration[self.PATH],
            packer_cmd,
            "-machine-readable",
            *self._explode_args(**options),
            *([template] if template else []),
        ]
        lines: SimpleQueue[str | None] = SimpleQueue()
        process = None
        try:
            process = self._started(command, lines)
            self._on_start(process.pid)
            return self._follow(process, lines), "", ""
        except BaseException:
            if process is not None:
                self._cancel(process, lines)
            raise
        finally:
            if process is not None:
                # Plugins that lost their parent; the group exists as long as one of them does.
                _signal_group(process, signal.SIGKILL)
                process.wait()

    def _started(self, command: list[str], lines: SimpleQueue[str | None]) -> subprocess.Popen[bytes]:
        read_end, write_end = os.pipe()
        Thread(
            target=_read, args=(os.fdopen(read_end, errors="replace"), lines), name="packer-output", daemon=True
        ).start()
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd=self._folder,
                env=self._environment,
                start_new_session=True,
                # Packer holds the reading end too: should capctl be killed, Packer cleans up instead of dying of a broken pipe.
                pass_fds=(read_end, *self._inherits),
            )
        finally:
            os.close(write_end)

    def _follow(self, process: subprocess.Popen[bytes], lines: SimpleQueue[str | None]) -> int:
        deadline = self._clock.monotonic() + self._timeout_s
        while True:
            try:
                line = lines.get(timeout=min(max(deadline - self._clock.monotonic(), 0.01), 1.0))
            except Empty:
                # A plugin that outlives Packer keeps the pipe open, so the end of the output is not the only end.
                if process.poll() is not None and lines.empty():
                    return process.returncode
                if self._clock.monotonic() >= deadline:
                    raise TimedOut(
                        "bake-timed-out",
                        f"The bake did not end within {self._timeout_s:g} s",
                        hint="Raise `ami.timeout_s`",
                    ) from None
                continue
            if line is None:
                return process.wait()
            self._on_line(line)

    def _cancel(self, process: subprocess.Popen[bytes], lines: SimpleQueue[str | None]) -> None:
        # Not SIGINT: Packer's first process ignores it, and the bake would go on.
        _signal_group(process, signal.SIGTERM)
        deadline = self._clock.monotonic() + self._grace_s
        while self._clock.monotonic() < deadline:
            # Asked before the wait: what Packer says last is still on its way when it has ended.
            has_ended = process.poll() is not None
            try:
                line = lines.get(timeout=0.5)
            except Empty:
                if has_ended:
                    return
                continue
            if line is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(deadline - self._clock.monotonic(), 0))
                return
            # Who follows the bake has failed, or may now: Packer must be left to clean up all the same.
            with suppress(Exception):
                self._on_line(line)


def _bound_to_this_process() -> tuple[str, ...]:
    """A prefix that makes the kernel send SIGTERM to Packer when capctl is killed, where the system can do that."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig=TERM", "--") if setpriv else ()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read(stream: TextIO, lines: SimpleQueue[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
