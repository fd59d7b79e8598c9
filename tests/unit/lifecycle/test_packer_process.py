"""The Packer process: followed line by line, ended as a group, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.packer_process import StreamingPacker
from lifecycle.errors import Interrupted, TimedOut
from lifecycle.ports.clock import Clock
from tests.fakes.packer_program import act


def runner(
    tmp_path: Path,
    script: str,
    *,
    on_line: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
    grace_s: float = 5.0,
) -> StreamingPacker:
    return StreamingPacker(
        act(tmp_path / "bin", script),
        folder=tmp_path,
        environment={**os.environ, "MARK": "here"},
        timeout_s=60,
        clock=clock or SystemClock(),
        on_line=on_line,
        grace_s=grace_s,
    )


class OverdueClock(SystemClock):
    """Real time, and an hour more as soon as Packer has said something: its script is ready then."""

    def __init__(self, said: Sequence[object]) -> None:
        self._said = said

    def monotonic(self) -> float:
        return super().monotonic() + (3600 if self._said else 0)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        os.sched_yield()


def test_lines_arrive_while_packer_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if "waiting" in line:  # Packer goes on only after this line was seen
            gate.write_text("go")

    script = "say('waiting'); open('gate').read(); say('done')"
    status, _, _ = runner(tmp_path, script, on_line=on_line).build("t.pkr.hcl")
    assert status == 0
    assert ["waiting" in lines[0], "done" in lines[1]] == [True, True]


def test_arguments_are_written_as_packer_reads_them(tmp_path: Path) -> None:
    lines: list[str] = []
    packer = runner(tmp_path, "print(arguments)", on_line=lines.append)
    packer.build("t", var_file=["/a", "/b"], var={"x": True, "y": 1}, on_error="cleanup", color=False, only=None)
    expected = "build -machine-readable -var-file=/a -var-file=/b -var x=true -var y=1 -on-error=cleanup -color=false t"
    assert lines[0].strip() == str(expected.split())


def test_exit_status_and_environment_are_packers_own(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "print(os.environ['MARK'], os.getcwd(), os.getsid(0) == os.getpid()); sys.exit(3)"
    status, _, _ = runner(tmp_path, script, on_line=lines.append).build("t.pkr.hcl")
    assert status == 3
    assert lines[0].split() == ["here", str(tmp_path), "True"]


def test_timeout_ends_the_group_and_waits_for_the_clean_up(tmp_path: Path) -> None:
    script = """
    def clean(*_):
        say("cleaned up"); open("cleaned", "w"); sys.exit(1)
    signal.signal(signal.SIGTERM, clean)
    say("building"); time.sleep(60)
    """
    lines: list[str] = []
    with pytest.raises(TimedOut) as failed:
        runner(tmp_path, script, on_line=lines.append, clock=OverdueClock(lines)).build("t.pkr.hcl")
    assert failed.value.code == "bake-timed-out"
    assert (tmp_path / "cleaned").exists()
    assert any("cleaned up" in line for line in lines)


def test_all_that_packer_says_while_it_cleans_up_is_passed_on(tmp_path: Path) -> None:
    script = """
    def clean(*_):
        print("\\n".join(f"cleaned {number}" for number in range(500)), flush=True); os._exit(1)
    signal.signal(signal.SIGTERM, clean)
    say("building"); time.sleep(60)
    """
    lines: list[str] = []
    with pytest.raises(TimedOut):
        runner(tmp_path, script, on_line=lines.append, clock=OverdueClock(lines)).build("t.pkr.hcl")
    assert sum("cleaned" in line for line in lines) == 500


def test_interruption_ends_packer_and_its_plugins(tmp_path: Path) -> None:
    script = """
    plugin = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
    print(os.getpid(), plugin.pid, flush=True); time.sleep(60)
    """
    pids: list[int] = []

    def interrupted(line: str) -> None:
        pids.extend(map(int, line.split()))
        raise Interrupted("interrupted", "SIGTERM")

    with pytest.raises(Interrupted):
        runner(tmp_path, script, on_line=interrupted).build("t.pkr.hcl")
    assert len(pids) == 2
    for pid in pids:
        until_gone(pid)


def test_packer_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    pids: list[int] = []
    with pytest.raises(TimedOut):
        runner(
            tmp_path, script, on_line=lambda line: pids.append(int(line)), clock=OverdueClock(pids), grace_s=0.2
        ).build("t")
    until_gone(pids[0])


def test_plugin_that_outlives_packer_does_not_hold_up_the_end(tmp_path: Path) -> None:
    script = """
    plugin = subprocess.Popen(["sleep", "60"])
    print(plugin.pid, flush=True)
    """
    pids: list[int] = []
    started = time.monotonic()
    status, _, _ = runner(tmp_path, script, on_line=lambda line: pids.append(int(line))).build("t.pkr.hcl")
    assert (status, time.monotonic() - started < 10) == (0, True)
    until_gone(pids[0])


@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="`setpriv` is not installed")
def test_packer_cleans_up_when_capctl_is_killed(tmp_path: Path) -> None:
    """The caller dies of SIGKILL; Packer must get SIGTERM and be able to write without dying of a broken pipe."""
    program = act(
        tmp_path / "bin",
        """
        def clean(*_):
            for number in range(50): say("cleaning %d" % number)
            open("cleaned", "w"); sys.exit(1)
        signal.signal(signal.SIGTERM, clean)
        print(os.getpid(), flush=True); time.sleep(60)
        """,
    )
    caller = (
        "import os, sys; from pathlib import Path\n"
        "from lifecycle.adapters.clock import SystemClock\n"
        "from lifecycle.adapters.packer_process import StreamingPacker\n"
        "packer = StreamingPacker(sys.argv[1], folder=Path(sys.argv[2]), environment=os.environ, timeout_s=60,\n"
        "                         clock=SystemClock(), on_line=lambda line: print(line, end='', flush=True))\n"
        "packer.build('t')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", caller, program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    until_gone(pid)
    assert (tmp_path / "cleaned").exists()
