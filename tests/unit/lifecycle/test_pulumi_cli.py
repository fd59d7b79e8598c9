"""The Pulumi CLI as a process: where it is found, what an interrupt ends, and what is noted of it."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.errors import CommandError

from lifecycle.adapters.processes import Process
from lifecycle.adapters.pulumi_cli import VERSION, PulumiCli, find_pulumi
from lifecycle.adapters.pulumi_locks import StartedClis
from lifecycle.errors import CapctlError, Interrupted


def test_interrupt_ends_the_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    wait = subprocess.Popen.wait
    ended: list[Any] = []

    def interrupted_once(process: Any, timeout: float | None = None) -> int:
        if not ended:
            ended.append(process)
            raise Interrupted("interrupted", "The command was interrupted")
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted_once)
    with pytest.raises(Interrupted):
        PulumiCli(program, StartedClis(tmp_path / "runs")).run(["up", "--yes"], str(tmp_path), {})
    assert ended[0].returncode is not None


def executable(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho v{version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "capctl" / "tools" / f"pulumi-v{VERSION}" / "pulumi"


def test_cli_on_path_of_the_same_version_comes_first(tmp_path: Path, cache: Path) -> None:
    executable(cache, VERSION)
    on_path = executable(tmp_path / "bin" / "pulumi", VERSION)
    assert find_pulumi(str(on_path.parent)) == on_path


def test_cli_on_path_of_another_version_is_passed_over(tmp_path: Path, cache: Path) -> None:
    executable(cache, VERSION)
    on_path = executable(tmp_path / "bin" / "pulumi", "3.100.0")
    assert find_pulumi(str(on_path.parent)) == cache


def test_missing_cli_says_what_to_do(tmp_path: Path, cache: Path) -> None:
    on_path = executable(tmp_path / "bin" / "pulumi", "3.100.0")
    with pytest.raises(CapctlError, match="is another version") as failed:
        find_pulumi(str(on_path.parent))
    assert failed.value.code == "pulumi-missing"
    # `make setup` is nothing that a project has that uses capctl.
    assert failed.value.hint.startswith("Install it with `curl -fsSL https://get.pulumi.com")
    assert f"--version {VERSION}`" in failed.value.hint


@pytest.mark.parametrize(("ending", "is_kept"), [("exit 0", False), ("exit 255", False), ("kill -9 $$", True)])
def test_note_of_a_cli_outlives_it_only_when_it_was_killed(ending: str, is_kept: bool, tmp_path: Path) -> None:
    """It is there while the CLI runs, which looks itself."""
    program, runs = tmp_path / "pulumi", tmp_path / "runs"
    program.write_text(f"#!/bin/sh\nuntil ls {runs}/*-$$-* >{tmp_path}/seen 2>/dev/null; do :; done\n{ending}\n")
    program.chmod(0o755)
    with suppress(CommandError):
        PulumiCli(program, StartedClis(runs)).run(["up"], str(tmp_path), {})
    assert (tmp_path / "seen").read_text()
    assert ([*runs.iterdir()] != []) == is_kept


def test_cli_of_which_no_note_tells_never_begins(tmp_path: Path) -> None:
    """A capctl that is killed before it has noted what it started."""
    program = tmp_path / "pulumi"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/begun\n")
    program.chmod(0o755)
    killed = f"""
import os
from pathlib import Path
from lifecycle.adapters.pulumi_cli import PulumiCli

class Killed:
    def note(self, pid):
        os.write(1, str(pid).encode())
        os._exit(137)

PulumiCli(Path({str(program)!r}), Killed()).run(["up"], {str(tmp_path)!r}, {{}})
"""
    ended = subprocess.run([sys.executable, "-c", killed], capture_output=True, text=True, check=False)
    assert ended.returncode == 137
    assert Process.here(int(ended.stdout)).ends(within_s=10)
    assert not (tmp_path / "begun").exists()
