"""Running capctl in this process."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.main import root


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command line ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


Capctl = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, without CAPCTL_* variables and with a state folder of its own."""
    for name in [name for name in os.environ if name.startswith(("CAPCTL_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def capctl(folder: Path, capsys: pytest.CaptureFixture[str]) -> Capctl:
    """`capctl("config", "check")` runs that command line in `folder`."""

    def run(*words: str) -> Outcome:
        code = run_command_line(root, words)
        captured = capsys.readouterr()
        return Outcome(code=code, out=captured.out, err=captured.err)

    return run


_COMMAND_LINE = "from lifecycle.cli.main import main; main()"


def on_a_terminal(*words: str, program: str = _COMMAND_LINE, stdout: Path | None = None, **environment: str) -> str:
    """What a terminal shows of a command line; with `stdout` in a file, what it shows of the rest."""
    ours, theirs = os.openpty()
    with stdout.open("w") if stdout else os.fdopen(os.dup(theirs), "w") as out:
        child = subprocess.Popen(
            [sys.executable, "-c", program, *words],
            env={**os.environ, **environment},
            stdin=theirs,
            stdout=out,
            stderr=theirs,
        )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a terminal ends that nobody holds any more
        while read := os.read(ours, 65536):
            shown += read
    os.close(ours)
    child.wait()
    return shown.decode()


def run_body(body: Callable[..., object], *words: str) -> int:
    """The exit code of a command line whose command is `body`."""
    return run_command_line(click.Command("capctl", callback=body, params=[click.Option(["-o"])]), words)
