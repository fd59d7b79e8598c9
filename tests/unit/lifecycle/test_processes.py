"""Which process is meant by an id, and on which machine."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.adapters import processes
from lifecycle.adapters.processes import Process, machine_name


def machine(folder: Path, *, boot: str, pids: str) -> Path:
    """A /proc that tells of no process."""
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
    (folder / "self/ns").mkdir(parents=True)
    (folder / "self/ns/pid").symlink_to(f"pid:[{pids}]")
    return folder


@pytest.fixture
def asleep() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_machine_is_told_by_its_start_and_by_whose_ids_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for boot, pids in (("one", "1"), ("one", "2"), ("two", "1")):
        monkeypatch.setattr(processes, "PROC", machine(tmp_path / boot / pids, boot=boot, pids=pids))
        names.append(machine_name())
    # Two containers of one host, and two hosts of which nobody asks the name.
    assert len(set(names)) == 3
    monkeypatch.setattr(processes, "PROC", tmp_path / "none")
    assert machine_name() == ""


def test_process_is_gone_when_it_has_ended_also_before_anybody_reaps_it(asleep: subprocess.Popen[bytes]) -> None:
    process, watched = Process.here(asleep.pid), os.pidfd_open(asleep.pid)
    assert not process.is_gone
    asleep.kill()
    select.select([watched], [], [], 10)
    os.close(watched)
    assert process.is_gone
    asleep.wait()
    assert process.is_gone


def test_id_that_was_given_again_is_another_process() -> None:
    here = Process.here(os.getpid())
    assert not here.is_gone
    assert replace(here, began=here.began - 1).is_gone
    # Where nobody knows when it began, whoever has the id may be it.
    assert not replace(here, began=0).is_gone


@pytest.mark.parametrize("elsewhere", ["", "another boot/pid:[1]"])
def test_nothing_is_certain_of_a_process_elsewhere(elsewhere: str) -> None:
    assert not Process(machine=elsewhere, pid=2**22 + 1, began=1).is_gone
    assert Process(machine=machine_name(), pid=2**22 + 1, began=1).is_gone
    assert Process(machine=machine_name(), pid=10**12, began=1).is_gone


def test_end_of_a_process_is_waited_for(asleep: subprocess.Popen[bytes]) -> None:
    process = Process.here(asleep.pid)
    assert not process.ends(within_s=0)
    assert asleep.stdin
    asleep.stdin.close()
    assert process.ends(within_s=30)
    asleep.wait()
    assert process.ends(within_s=0)
    assert replace(Process.here(os.getpid()), began=1).ends(within_s=0)
