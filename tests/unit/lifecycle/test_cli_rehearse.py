"""What `capctl rehearse` prints when the scene is over."""

from __future__ import annotations

import subprocess
import sys

import pytest

# The command, after a scene of one step that takes no time.
SCRIPT = """
import sys
from lifecycle.adapters.terminal import TerminalUi
from lifecycle.cli.boundary import run_command_line
from lifecycle.cli.main import root
from lifecycle.rehearsal import perform
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.report import Report

def play(ui, **_):
    record = Recorder(ui)
    record.head()
    with record.step("bootstrap") as step:
        step.result = "a bucket"
    report = Report(ok=True, seconds=1.0, peak_rss_bytes=1, steps=tuple(record.rows))
    return perform.Outcome(report=report, environment=None, failure=None)

perform.perform = play
sys.exit(run_command_line(root, sys.argv[1:]))
"""


def run(*arguments: str, stderr: int) -> str:
    """What came out of stdout."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True).stdout


@pytest.mark.parametrize("arguments", [("rehearse",), ("-q", "rehearse")])
def test_each_step_is_printed_once_where_both_streams_lead_to_one_place(arguments: tuple[str, ...]) -> None:
    shown = run(*arguments, stderr=subprocess.STDOUT)
    assert shown.count("bootstrap") == 1
    assert shown.splitlines()[-1].startswith("passed in 1.0 s")
    assert "`real`: " in shown


def test_stdout_of_its_own_gets_the_whole_table() -> None:
    shown = run("rehearse", stderr=subprocess.DEVNULL)
    assert shown.startswith("step ")
    assert shown.count("bootstrap") == 1
