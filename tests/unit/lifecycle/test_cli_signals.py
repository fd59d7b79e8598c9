"""What a signal does to a command: the first one ends it as an error, the second at once, wherever the main thread is."""

import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lifecycle.cli import boundary
from lifecycle.errors import ExitCode
from tests.unit.lifecycle.conftest import on_a_terminal, run_body


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_once_so_that_what_was_started_is_stopped(
    number: signal.Signals, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_up: list[list[str]] = []
    monkeypatch.setattr(boundary, "_give_up", gave_up.append)
    ours = signal.signal(number, signal.SIG_DFL)  # under `nohup`, which the tests may run under, SIGHUP stays ignored

    def body(o: str | None = None) -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            assert gave_up == []
            os.kill(os.getpid(), number)

    try:
        assert run_body(body, "-o", "text") == ExitCode.INTERRUPTED
        assert gave_up == [["-o", "text"]]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, ours)
    assert f"interrupted by {number.name}" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "sweep"), [(["ami", "bake"], True), (["image", "base"], False)])
def test_second_signal_ends_at_once_shows_the_cursor_and_says_what_removes_the_rest(
    folder: Path, words: list[str], sweep: bool
) -> None:
    program = """
import os, signal, click
from lifecycle.cli.boundary import run_command_line

@click.command()
@click.argument('words', nargs=-1)
def busy(words):
    try:
        print('\x1b[?25l', flush=True)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        print('all is gone')

try:
    run_command_line(busy, WORDS)
finally:
    print('never', flush=True)
""".replace("WORDS", repr(words))
    shown = on_a_terminal(program=program)
    assert "never" not in shown
    assert "all is gone" not in shown
    assert shown.index("\x1b[?25h") < shown.index("error[interrupted]")
    assert ("capctl ami sweep" in shown) is sweep
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert ended.returncode == ExitCode.INTERRUPTED
    assert ended.stderr.startswith("error[interrupted]: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_the_kernel_delivers_to_another_thread_is_heard_by_the_main_one(
    number: signal.Signals, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()

    def body(o: str | None = None) -> None:
        hit = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number))
        threading.Timer(60, ended.set).start()
        hit.start()
        ended.wait()

    try:
        assert run_body(body) == ExitCode.INTERRUPTED
        assert not ended.is_set()
    finally:
        ended.set()
    assert f"interrupted by {number.name}" in capsys.readouterr().err


def test_ending_that_takes_a_while_says_what_it_waits_for(folder: Path) -> None:
    program = """
import os, signal, sys, click
from lifecycle.cli.boundary import run_command_line

@click.command()
def busy():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    finally:
        sys.stdin.readline()

raise SystemExit(run_command_line(busy, []))
"""
    ending = subprocess.Popen(
        [sys.executable, "-c", program], text=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1
    )
    assert ending.stderr
    assert ending.stdin
    said = ending.stderr.readline()
    ending.stdin.write("\n")
    said += ending.communicate()[1]
    assert ending.returncode == ExitCode.INTERRUPTED
    assert said.splitlines()[:2] == [
        "Interrupted; what is under way ends first, a second signal ends at once",
        "error[interrupted]: The command was interrupted by SIGTERM",
    ]


class Entered:
    """Is signalled where a lock like that of Python's `Condition` is taken: who leaves `__enter__` so never comes to give it back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.lock.acquire()
        signal.raise_signal(signal.SIGINT)

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_signal_that_comes_while_a_lock_is_taken_waits_for_it(folder: Path) -> None:
    entered = Entered()

    def body(o: str | None = None) -> None:
        with entered:
            signal.sigtimedwait([], 10)

    assert run_body(body) == ExitCode.INTERRUPTED
    assert not entered.lock.locked()


def test_signal_that_comes_amid_an_import_waits_for_it(folder: Path) -> None:
    """The machinery that imports holds a lock there which all threads need."""
    imported = []

    def body(o: str | None = None) -> None:
        importlib._bootstrap._call_with_frames_removed(signal.raise_signal, signal.SIGINT)  # type: ignore[attr-defined]
        imported.append(True)
        signal.sigtimedwait([], 10)

    assert run_body(body) == ExitCode.INTERRUPTED
    assert imported == [True]


def test_second_signal_while_a_lock_is_taken_ends_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gave_up: list[list[str]] = []
    monkeypatch.setattr(boundary, "_give_up", gave_up.append)

    class Twice(Entered):
        def __enter__(self) -> None:
            super().__enter__()
            signal.raise_signal(signal.SIGTERM)

    def body(o: str | None = None) -> None:
        with Twice():
            signal.sigtimedwait([], 10)

    run_body(body)
    assert gave_up  # the process ends there


class Finalized:
    """Is signalled in its finalizer, from which Python lets nothing out."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


def test_signal_that_python_drops_in_a_finalizer_ends_the_command_all_the_same(folder: Path) -> None:
    went_on, former = [], sys.unraisablehook

    def body(o: str | None = None) -> None:
        Finalized()
        went_on.append(True)
        signal.sigtimedwait([], 10)

    assert run_body(body) == ExitCode.INTERRUPTED
    assert went_on == [True]
    assert sys.unraisablehook is former


def test_second_of_two_signals_of_a_kind_at_once_ends_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python calls the handler once for both."""
    gave_up = threading.Event()
    monkeypatch.setattr(boundary, "_give_up", lambda _: gave_up.set())

    def hit() -> None:
        for _ in range(2):
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    def body(o: str | None = None) -> None:
        try:
            threading.Thread(target=hit).start()
            gave_up.wait(10)
        finally:
            gave_up.wait(10)

    assert run_body(body) == ExitCode.INTERRUPTED
    assert gave_up.is_set()


def test_nohup_stays_in_force(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gave_up: list[list[str]] = []

    def body(o: str | None = None) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)

    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_body(lambda o=None: os.kill(os.getpid(), signal.SIGHUP)) == ExitCode.DONE
        monkeypatch.setattr(boundary, "_give_up", gave_up.append)
        assert run_body(body) == ExitCode.INTERRUPTED
        assert gave_up == []
    finally:
        signal.signal(signal.SIGHUP, former)
