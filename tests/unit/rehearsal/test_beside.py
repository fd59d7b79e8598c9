"""Two parts of a scene at the same time: the order of their rows, and what ends when one of them fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle.errors import CapctlError, Interrupted
from lifecycle.rehearsal.beside import beside
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder
from tests.fakes.ui import FakeUi

# Says through a FIFO that it runs, and sleeps until it is told to stop.
COMMAND = """
import os, signal, sys
if sys.argv[-1] == "wait":
    open(os.environ["RUNS"], "w").close()
    signal.pause()
print("{}")
"""


@pytest.fixture
def capctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Capctl:
    """Runs the command above in place of capctl: `python -m` looks into the current folder first."""
    (tmp_path / "lifecycle").mkdir()
    (tmp_path / "lifecycle" / "__main__.py").write_text(COMMAND)
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "runs")
    return Capctl({"RUNS": str(tmp_path / "runs"), "PYTHONPATH": ""}, log=tmp_path / "log")


def await_running() -> None:
    """Returns when the command has opened the FIFO."""
    Path("runs").read_text()


def step(record: Recorder, name: str, capctl: Capctl, *arguments: str) -> None:
    with record.step(name):
        capctl(*arguments)


def test_rows_of_the_thread_stand_after_those_of_the_block(capctl: Capctl) -> None:
    record = Recorder(FakeUi())
    step(record, "before", capctl)
    with beside(lambda apart: step(apart, "beside", capctl), capctl, record):
        step(record, "block", capctl)
    step(record, "after", capctl)
    assert [row.name for row in record.rows] == ["before", "block", "beside", "after"]


def test_failure_of_the_block_ends_the_command_of_the_thread(capctl: Capctl) -> None:
    record = Recorder(FakeUi())

    def play() -> None:
        with beside(lambda apart: step(apart, "beside", capctl, "wait"), capctl, record):
            await_running()
            raise CapctlError("rehearsal-step", "the block failed")

    with pytest.raises(CapctlError, match="the block failed"):
        play()
    (row,) = record.rows
    assert row.result == "FAILED: `capctl wait` was interrupted"
    with pytest.raises(Interrupted):
        capctl("more")


def test_failure_of_the_thread_is_raised_after_the_block(capctl: Capctl) -> None:
    record = Recorder(FakeUi())

    def fail(apart: Recorder) -> None:
        with apart.step("beside"):
            raise CapctlError("rehearsal-step", "the thread failed")

    with pytest.raises(CapctlError, match="the thread failed"), beside(fail, capctl, record):
        step(record, "block", capctl)
    assert [row.name for row in record.rows] == ["block", "beside"]
