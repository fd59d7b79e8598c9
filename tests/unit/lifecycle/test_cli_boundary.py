"""Errors become messages and exit codes; signals become errors."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from lifecycle.cli import boundary, job_documents
from lifecycle.cli.boundary import render_error, run_command_line
from lifecycle.cli.crash import record_crash
from lifecycle.errors import CapctlError, Denied, ExitCode, Inconclusive, Interrupted, RolledBack, TimedOut, UsageError
from tests.dev.samples.releases import JOB
from tests.golden import assert_golden
from tests.unit.lifecycle.conftest import on_a_terminal

ROOT = Path(__file__).parents[3]


def _run(body: Callable[..., object], *words: str) -> int:
    return run_command_line(click.Command("capctl", callback=body, params=[click.Option(["-o"])]), words)


def _raise(error: BaseException) -> Callable[[], None]:
    def body(o: str | None = None) -> None:
        raise error

    return body


@pytest.mark.parametrize("kind", [CapctlError, UsageError, Inconclusive, Denied, TimedOut, RolledBack, Interrupted])
def test_the_exit_code_is_the_class_of_the_error(kind: type[CapctlError], folder: Path) -> None:
    assert _run(_raise(kind("some-code", "message"))) == kind.exit_code


def test_signal_that_python_wraps_is_a_signal_still(folder: Path) -> None:
    def body(o: str | None = None) -> None:
        try:
            raise Interrupted("interrupted", "The command was interrupted by SIGINT")
        except Interrupted as signal_:
            raise RuntimeError("Error calling __set_name__ on 'Field' instance") from signal_

    assert _run(body) == ExitCode.INTERRUPTED


def test_an_error_reads_as_message_details_and_hint() -> None:
    error = CapctlError(
        "ami-not-available",
        "AMI `ami-0abc` in us-west-2 is `failed`, expected `available`",
        hint="Run `capctl ami bake` to bake it again",
        details=("reason: Client.InternalError", "two\nlines"),
    )
    assert_golden("error.txt", render_error(error) + "\n")


def test_json_output_carries_the_error_as_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failure = Denied("permission-denied", "AWS refused", hint="Ask", details=("why",), evidence={"job": JOB})
    assert _run(_raise(failure), "-o", "json") == ExitCode.DENIED
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "schema": "capctl.error/1",
        "code": "permission-denied",
        "message": "AWS refused",
        "hint": "Ask",
        "details": ["why"],
        "evidence": {"job": job_documents.job(JOB)},
        "exit_code": 4,
    }
    assert captured.err == "error[permission-denied]: AWS refused\n  why\nhint: Ask\n"


def test_one_terminal_shows_the_error_once(folder: Path) -> None:
    """Only the document, where somebody sees stdout and stderr on the same screen; both where a file takes one of them."""
    assert on_a_terminal("-o", "json", "config", "check").count("config-missing") == 1
    assert on_a_terminal("config", "check").count("config-missing") == 1
    kept = folder / "answer.json"
    assert "error[config-missing]" in on_a_terminal("-o", "json", "config", "check", stdout=kept)
    assert json.loads(kept.read_text())["code"] == "config-missing"


@pytest.mark.parametrize(
    ("error", "which"),
    [
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/.capctl"), "`/x/.capctl`"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/x/part", None, "/x/whole"), "`/x/whole`"),
        (OSError(errno.ENOSPC, "No space left on device"), "A file"),
    ],
)
def test_a_file_that_cannot_be_used_is_no_bug(
    error: OSError, which: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(_raise(error)) == ExitCode.FAILED
    assert capsys.readouterr().err.startswith(f"error[file-unusable]: {which} cannot be used: {error.strerror}\n")


def test_an_unforeseen_exception_is_a_bug_with_a_crash_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(_raise(ValueError("odd\nthing")), "-o", "text") == ExitCode.BUG
    message = capsys.readouterr().err
    (log,) = (folder.parent / "state" / "capctl").glob("crash-*.log")
    assert message == f"error[bug]: ValueError: odd\nhint: Report it with `{log}`\n"
    assert "command: capctl -o text" in log.read_text()
    assert "Traceback" in log.read_text()


def test_a_crash_log_that_cannot_be_written_hides_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert _run(_raise(ValueError("odd"))) == ExitCode.BUG
    assert "ValueError: odd" in capsys.readouterr().err


@pytest.mark.parametrize(("debug", "shown"), [("1", True), ("", False), ("0", False)])
def test_a_traceback_is_shown_only_for_debugging(
    debug: str, shown: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAPCTL_DEBUG", debug)
    _run(_raise(CapctlError("some-code", "message")))
    assert ("Traceback" in capsys.readouterr().err) is shown


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
        assert _run(body, "-o", "text") == ExitCode.INTERRUPTED
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
        assert _run(body) == ExitCode.INTERRUPTED
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

    assert _run(body) == ExitCode.INTERRUPTED
    assert not entered.lock.locked()


def test_signal_that_comes_amid_an_import_waits_for_it(folder: Path) -> None:
    """The machinery that imports holds a lock there which all threads need."""
    imported = []

    def body(o: str | None = None) -> None:
        importlib._bootstrap._call_with_frames_removed(signal.raise_signal, signal.SIGINT)  # type: ignore[attr-defined]
        imported.append(True)
        signal.sigtimedwait([], 10)

    assert _run(body) == ExitCode.INTERRUPTED
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

    _run(body)
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

    assert _run(body) == ExitCode.INTERRUPTED
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

    assert _run(body) == ExitCode.INTERRUPTED
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
        assert _run(lambda o=None: os.kill(os.getpid(), signal.SIGHUP)) == ExitCode.DONE
        monkeypatch.setattr(boundary, "_give_up", gave_up.append)
        assert _run(body) == ExitCode.INTERRUPTED
        assert gave_up == []
    finally:
        signal.signal(signal.SIGHUP, former)


def test_a_keyboard_interrupt_from_elsewhere_is_an_interruption(folder: Path) -> None:
    assert _run(_raise(KeyboardInterrupt())) == ExitCode.INTERRUPTED


def test_what_a_command_returns_is_no_exit_code(folder: Path) -> None:
    assert _run(lambda o=None: False) == ExitCode.DONE


def test_a_reader_that_went_away_ends_the_command_quietly(folder: Path) -> None:
    program = "import sys; from lifecycle.cli.main import main; sys.argv[1:] = ['--help']; main()"
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, stdout=write_end, stderr=subprocess.PIPE, text=True
    )
    os.close(write_end)
    assert ended.stderr == ""
    assert ended.returncode == 1


def test_ctrl_c_while_the_command_line_is_imported_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    ended = subprocess.run(
        [sys.executable, "-m", "lifecycle", "--help"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_crash_log_is_private_and_holds_no_value_of_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    record_crash(ValueError("odd"), ["job", "submit", "--env", "DATABASE_URL=postgresql://u:secret@h/d"])
    (log,) = (tmp_path / "capctl").glob("crash-*.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert "DATABASE_URL=***" in log.read_text()
    assert "secret" not in log.read_text()
