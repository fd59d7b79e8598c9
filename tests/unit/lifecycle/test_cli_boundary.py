"""Errors become messages and exit codes; signals become errors."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.cli import job_documents
from lifecycle.cli.boundary import render_error
from lifecycle.cli.crash import record_crash
from lifecycle.errors import CapctlError, Denied, ExitCode, Inconclusive, Interrupted, RolledBack, TimedOut, UsageError
from tests.dev.samples.releases import JOB
from tests.golden import assert_golden
from tests.unit.lifecycle.conftest import on_a_terminal, run_body

ROOT = Path(__file__).parents[3]


def _raise(error: BaseException) -> Callable[[], None]:
    def body(o: str | None = None) -> None:
        raise error

    return body


@pytest.mark.parametrize("kind", [CapctlError, UsageError, Inconclusive, Denied, TimedOut, RolledBack, Interrupted])
def test_the_exit_code_is_the_class_of_the_error(kind: type[CapctlError], folder: Path) -> None:
    assert run_body(_raise(kind("some-code", "message"))) == kind.exit_code


def test_signal_that_python_wraps_is_a_signal_still(folder: Path) -> None:
    def body(o: str | None = None) -> None:
        try:
            raise Interrupted("interrupted", "The command was interrupted by SIGINT")
        except Interrupted as signal_:
            raise RuntimeError("Error calling __set_name__ on 'Field' instance") from signal_

    assert run_body(body) == ExitCode.INTERRUPTED


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
    assert run_body(_raise(failure), "-o", "json") == ExitCode.DENIED
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
    assert run_body(_raise(error)) == ExitCode.FAILED
    assert capsys.readouterr().err.startswith(f"error[file-unusable]: {which} cannot be used: {error.strerror}\n")


def test_an_unforeseen_exception_is_a_bug_with_a_crash_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_body(_raise(ValueError("odd\nthing")), "-o", "text") == ExitCode.BUG
    message = capsys.readouterr().err
    (log,) = (folder.parent / "state" / "capctl").glob("crash-*.log")
    assert message == f"error[bug]: ValueError: odd\nhint: Report it with `{log}`\n"
    assert "command: capctl -o text" in log.read_text()
    assert "Traceback" in log.read_text()


def test_a_crash_log_that_cannot_be_written_hides_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert run_body(_raise(ValueError("odd"))) == ExitCode.BUG
    assert "ValueError: odd" in capsys.readouterr().err


@pytest.mark.parametrize(("debug", "shown"), [("1", True), ("", False), ("0", False)])
def test_a_traceback_is_shown_only_for_debugging(
    debug: str, shown: bool, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAPCTL_DEBUG", debug)
    run_body(_raise(CapctlError("some-code", "message")))
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_a_keyboard_interrupt_from_elsewhere_is_an_interruption(folder: Path) -> None:
    assert run_body(_raise(KeyboardInterrupt())) == ExitCode.INTERRUPTED


def test_what_a_command_returns_is_no_exit_code(folder: Path) -> None:
    assert run_body(lambda o=None: False) == ExitCode.DONE


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
