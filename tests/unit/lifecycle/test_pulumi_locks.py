"""Who holds a lock of Pulumi's: a process of this machine only where one was noted."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.processes import Process
from lifecycle.adapters.pulumi_locks import LockHolder, StartedClis, lock_holders

NOW = datetime(2026, 1, 1, 12, 0, 0, 900_000, UTC)
MINE = LockHolder(user="ann", host=os.uname().nodename, pid=os.getpid(), at="2026-01-01T12:00:00Z")


def noted(started: StartedClis) -> Path:
    """This process, as if it were a CLI that was started then."""
    note = started.note(os.getpid())
    told(note, at=NOW.isoformat())
    return note


def told(note: Path, **changes: Any) -> None:
    note.write_text(json.dumps({**json.loads(note.read_text()), **changes}))


def test_holders_are_read_from_pulumi_message() -> None:
    message = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock"
        " file with `pulumi cancel`.\n  file:///s/.pulumi/locks/organization/vision/dev/1.json:"
        " created by root@box (pid 1234) at 2026-11-21T10:00:00Z"
    )
    (holder,) = lock_holders(message)
    assert holder == LockHolder(user="root", host="box", pid=1234, at="2026-11-21T10:00:00Z")
    assert str(holder) == "root@box (pid 1234) since 2026-11-21T10:00:00Z"


def test_lock_of_a_cli_that_was_noted_is_that_process_s(tmp_path: Path) -> None:
    started = StartedClis(tmp_path / "runs")
    assert started.find(MINE) is None
    note = noted(started)
    assert StartedClis(tmp_path / "runs").find(MINE) == Process.here(os.getpid())
    note.unlink()
    assert started.find(MINE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "another boot/pid:[1]"},  # two machines of one name, or two containers of one machine
        {"machine": ""},
        {"host": "elsewhere"},
        {"pid": 1},
        {"at": (NOW - timedelta(minutes=3)).isoformat()},
        {"at": (NOW + timedelta(minutes=3)).isoformat()},
        {"at": "no moment"},
    ],
)
def test_lock_of_which_any_part_differs_may_be_anybody_s(tmp_path: Path, change: dict[str, Any]) -> None:
    started = StartedClis(tmp_path)
    note = noted(started)
    assert started.find(MINE)
    told(note, **change)
    assert started.find(MINE) is None


def test_lock_is_told_in_full_seconds_and_in_any_zone(tmp_path: Path) -> None:
    started = StartedClis(tmp_path)
    noted(started)
    assert started.find(MINE)
    assert started.find(replace(MINE, at="2026-01-01T14:00:01+02:00"))
    assert started.find(replace(MINE, at="2026-01-01T11:59:59Z")) is None
    assert started.find(replace(MINE, at="no moment")) is None


def test_note_that_is_no_note_is_passed_over_and_an_old_one_goes(tmp_path: Path) -> None:
    started = StartedClis(tmp_path)
    (tmp_path / "1").write_text("half a no")
    old = started.note(1)
    os.utime(old, (0, 0))
    noted(started)
    assert started.find(MINE)
    assert not old.exists()
