"""The peak of a rehearsal's memory: of this process and of those that carry its mark, whenever they come."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from lifecycle.rehearsal import memory
from lifecycle.rehearsal.memory import PeakMemory

MARK, TAKEN_BYTES = "CAPCTL_TEST_MEMORY=1", 50_000_000
TAKE = f"import sys; taken = b'x' * {TAKEN_BYTES}; print(flush=True); sys.stdin.read()"


def take(**environment: str) -> subprocess.Popen[bytes]:
    """A process that has taken that much memory."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", TAKE],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    return process


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_processes_that_carry_the_mark_are_counted_whenever_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "INTERVAL_S", 0.1)
    with PeakMemory() as peak:
        peak.watch(MARK)
        until(lambda: peak.peak_bytes > 0)
        alone = peak.peak_bytes
        with take() as other, take(CAPCTL_TEST_MEMORY="1") as own:
            until(lambda: peak.peak_bytes > alone + TAKEN_BYTES)
            looks = peak._ours
            until(lambda: peak._ours is not looks)
            other.communicate()
            own.communicate()
    assert peak.peak_bytes < alone + 2 * TAKEN_BYTES
