"""The Pulumi CLI as a process: where it is found, whether it still runs, what an interrupt says and ends."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.pulumi_cli import VERSION, PulumiCli, find_pulumi, is_running, lock_holders
from lifecycle.errors import CapctlError, Interrupted
from tests.fakes.ui import FakeUi


@pytest.mark.parametrize(("args", "is_told"), [(["up", "--yes"], True), (["stack", "export"], False)])
def test_interrupt_ends_the_cli_and_speaks_of_an_update_only(
    args: list[str], is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    ui = FakeUi()
    with pytest.raises(Interrupted):
        PulumiCli(program, ui).run(args, str(tmp_path), {})
    assert ended[0].returncode is not None
    assert any("Pulumi finishes" in line for line in ui.lines) == is_told


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
    assert "make setup" in failed.value.hint


def test_holders_are_read_from_pulumi_message() -> None:
    message = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock"
        " file with `pulumi cancel`.\n  file:///s/.pulumi/locks/organization/vision/dev/1.json:"
        " created by root@box (pid 1234) at 2026-11-21T10:00:00Z"
    )
    assert lock_holders(message) == [{"user": "root", "host": "box", "pid": "1234", "at": "2026-11-21T10:00:00Z"}]


def test_only_a_pulumi_process_counts_as_running() -> None:
    assert not is_running(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert not is_running(ended.pid)


def test_cli_that_nobody_has_reaped_yet_has_ended(tmp_path: Path) -> None:
    cli = tmp_path / "pulumi"
    shutil.copy("/bin/sleep", cli)
    with subprocess.Popen([str(cli), "60"]) as running:
        pidfd = os.pidfd_open(running.pid)
        assert is_running(running.pid)
        running.kill()
        select.select([pidfd], [], [], 10)
        assert not is_running(running.pid)
        os.close(pidfd)
