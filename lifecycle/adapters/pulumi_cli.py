"""The Pulumi command line: where it is, and how it is run and stopped."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import IO, Any

from pulumi import automation
from pulumi.automation._cmd import CommandResult
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.pulumi_locks import StartedClis
from lifecycle.errors import CapctlError, Interrupted

# The CLI and the SDK speak to each other in a protocol of their own version.
VERSION = metadata.version("pulumi")

# A queue or compute environment that is being made or deleted takes up to this long; killing earlier leaves a pending operation.
_GRACE_S = 90
# Waits for a line before it becomes the CLI, so that there is none of which no note tells, whenever capctl is killed.
_ONCE_NOTED = ("/bin/sh", "-c", 'read -r _ && exec "$@"', "capctl")


def find_pulumi(path: str) -> Path:
    """The CLI of `VERSION`: from the folders of `path`, else from the tool cache. Raises `CapctlError("pulumi-missing")`."""
    on_path = shutil.which("pulumi", path=path)
    if on_path and _version(on_path) == VERSION:
        return Path(on_path)
    cached = cache_folder() / "tools" / f"pulumi-v{VERSION}" / "pulumi"
    if os.access(cached, os.X_OK):
        return cached
    found = f"; `{on_path}` is another version" if on_path else ""
    raise CapctlError(
        "pulumi-missing",
        f"Pulumi {VERSION} is neither on PATH nor at `{cached}`{found}",
        hint=f"Install it with `curl -fsSL https://get.pulumi.com | sh -s -- --version {VERSION}` and put its folder on PATH; in a checkout"
        " of capctl `make setup` does it",
    )


def _version(executable: str) -> str:
    try:
        answer = subprocess.run([executable, "version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().removeprefix("v")


class PulumiCli(automation.PulumiCommand):
    """Runs the CLI with an environment of its own, in a session of its own: a terminal's Ctrl-C reaches it only through us."""

    def __init__(self, executable: Path, started: StartedClis) -> None:
        self.command = str(executable)
        self.version = VersionInfo.parse(VERSION)
        self._started = started

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Run one command to its end. An interrupt is passed on, and raised again once the CLI has ended."""
        process = subprocess.Popen(
            [*_ONCE_NOTED, self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**additional_env, "PULUMI_AUTOMATION_API": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        output, errors = _Reader(process.stdout, on_output), _Reader(process.stderr, on_error)
        note: Path | None = None
        try:
            note = self._started.note(process.pid)
            _let_begin(process)
            code = process.wait()
        except BaseException:
            _stop(process)
            raise
        finally:
            # One that was killed may have left a lock, of which its note tells.
            if note and process.returncode is not None and process.returncode >= 0:
                note.unlink(missing_ok=True)
        result = CommandResult(stdout=output.text(), stderr=errors.text(), code=code)
        if code != 0:
            raise create_command_error(result)
        return result


def _let_begin(process: "subprocess.Popen[str]") -> None:
    assert process.stdin
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write("\n")


class _Reader:
    """Collects one stream of the CLI while it runs."""

    def __init__(self, stream: IO[str] | None, on_line: Callable[[str], Any] | None) -> None:
        self._lines: list[str] = []
        self._thread = Thread(target=self._read, args=(stream, on_line), daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join()
        return "\n".join(self._lines)

    def _read(self, stream: IO[str], on_line: Callable[[str], Any] | None) -> None:
        for line in stream:
            self._lines.append(line.rstrip())
            if on_line:
                on_line(line.rstrip())
        stream.close()


def _children(pid: int) -> set[int]:
    """Child processes, each the leader of a group of its own: plugins. Empty where there is no /proc."""
    found = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return {int(child) for children in found for child in children}


def _stop(process: "subprocess.Popen[str]") -> None:
    """Let the CLI finish what is under way, record it and give back its lock; a second interrupt kills it."""
    plugins = _children(process.pid)
    _signal_group(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=_GRACE_S)
    except (subprocess.TimeoutExpired, Interrupted, KeyboardInterrupt):
        plugins |= _children(process.pid)
        for group in (process.pid, *plugins):
            _signal_group(group, signal.SIGKILL)
        process.wait()


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
