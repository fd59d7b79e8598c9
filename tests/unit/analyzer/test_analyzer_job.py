"""How a job ends: exit codes, one line for each fault, stop signals, and how often it is tried."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer import cli, job
from analyzer.contract import JobRequest
from analyzer.errors import DependencyDown, ExitCode, Interrupted, OutOfMemory, TriedTooOften
from analyzer.interrupt import stop_signals_raise
from analyzer.progress import Progress
from analyzer.tries import Tries
from tests.unit.analyzer.job_parts import SetMaker, events


@pytest.mark.parametrize(
    ("values", "code", "exit_code"),
    [
        ({"SESSION_ID": ""}, "variable-missing", ExitCode.USAGE),
        ({"SAMPLE_FPS": "-1"}, "sample-fps-invalid", ExitCode.USAGE),
        ({"VIDEO_URL": "/nowhere/clip.mp4"}, "input-missing", ExitCode.INPUT),
        ({"VIDEO_URL": "/"}, "input-missing", ExitCode.INPUT),
        ({"MODEL_SET": "sha256:" + "0" * 64}, "model-set-absent", ExitCode.MISMATCH),
        ({"AGE_MODEL_PATH": "/nowhere/age.onnx"}, "model-missing", ExitCode.MISMATCH),
        ({"RESULT_URL": "/dev/null/out"}, "result-not-written", ExitCode.MISMATCH),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x"}, "database-down", ExitCode.UNAVAILABLE),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:port/x"}, "database-url-invalid", ExitCode.USAGE),
        ({"DATABASE_URL": "mysql://u:hidden@127.0.0.1/x"}, "database-url-invalid", ExitCode.USAGE),
    ],
)
def test_each_fault_has_its_exit_code_and_no_traceback(
    values: dict[str, str],
    code: str,
    exit_code: ExitCode,
    environment: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    environment(**values)
    assert cli.main(["batch"]) == exit_code
    streams = capsys.readouterr()
    assert streams.err.startswith(f"error[{code}]: ")
    assert "Traceback" not in streams.err
    assert "hidden" not in streams.err + streams.out
    last = events(streams.out)[-1]
    assert (last["event"], last["code"], last["exit_code"]) == ("failed", code, exit_code)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["run", "--video", "x", "--out", "y", "--fps", "many"]])
def test_bad_arguments_exit_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error[")


def test_a_fault_of_the_code_exits_70_in_one_line(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("tracks")

    environment()
    monkeypatch.setattr(job, "analyse", broken)
    assert cli.main(["batch"]) == ExitCode.BUG
    streams = capsys.readouterr()
    assert streams.err.startswith("error[bug]: KeyError: 'tracks' (at ")
    assert "Traceback" not in streams.err
    line = broken.__code__.co_firstlineno + 1
    assert f"the job's own code, at `tests/unit/analyzer/test_analyzer_job.py:{line}`" in streams.err
    last = events(streams.out)[-1]
    assert (last["event"], last["code"], last["exit_code"]) == ("failed", "bug", 70)
    assert last["message"].startswith("KeyError: 'tracks' (at ")


def test_fault_in_a_package_is_told_by_the_line_of_the_job_that_led_to_it(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment()
    monkeypatch.setattr(job, "analyse", lambda *_, **__: json.loads("{"))
    assert cli.main(["batch"]) == ExitCode.BUG
    assert "own code, at `tests/unit/analyzer/test_analyzer_job.py:" in capsys.readouterr().err


def test_stop_signal_exits_75_and_publishes_nothing(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def stopped(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    environment()
    monkeypatch.setattr(job.tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(job, "analyse", stopped)
    assert cli.main(["batch"]) == ExitCode.INTERRUPTED
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "out" / "result.json").exists()


def test_scratch_space_that_is_still_written_into_does_not_hide_the_stop(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    def stopped(*_: object, **__: object) -> None:
        raise Interrupted("SIGTERM")

    environment()
    monkeypatch.setattr(job.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(job, "analyse", stopped)
    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", refuse)
        assert cli.main(["batch"]) == ExitCode.INTERRUPTED


def test_signal_actions_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), stop_signals_raise():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_signal_in_a_finaliser_is_not_lost() -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        Dying()
        threading.Event().wait(10)

    with pytest.raises(Interrupted), stop_signals_raise():
        work()


def test_percentages_are_told_once_per_ten() -> None:
    stream = io.StringIO()
    progress = Progress(stream, session_id="s", clock=lambda: 0.0)
    progress.step("analyse")
    for done in range(0, 1001, 5):
        progress.percent(done, 1000)
    progress.percent(5, 0)
    assert [each["percent"] for each in events(stream.getvalue()) if "percent" in each] == list(range(10, 101, 10))


def test_verify_prints_the_files_and_the_digest(
    channel_networks: Path, mark_set: SetMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = mark_set(channel_networks)
    assert cli.main(["models", "verify", "--model-root", str(channel_networks), "--model-set", digest]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == digest
    assert "models/age-v1.onnx  (no licence stated; no permitted use stated)" in lines[0]
    assert cli.main(["models", "verify", "--model-root", str(channel_networks / "models")]) == ExitCode.MISMATCH


def test_attempts_in_vain_are_counted_until_one_commits_and_are_no_more_than_allowed(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(BACKEND="null")
    request = JobRequest.from_environment(os.environ)
    analyzer = job.Analyzer.load(request, Progress(io.StringIO()))

    def attempt(most: int | None, error: BaseException | None, expected: type[BaseException]) -> int | None:
        def ended(*_: object) -> None:
            assert error
            raise error

        tries = Tries(most=most)
        with monkeypatch.context() as patch:
            patch.setattr(job, "analyse", ended)
            with pytest.raises(expected):
                analyzer.run(request, Progress(io.StringIO()), tries=tries)
        return tries.count

    down = DependencyDown("x", "x")
    assert attempt(None, down, DependencyDown) == 1
    assert attempt(2, Interrupted("SIGTERM"), Interrupted) == 2
    assert attempt(2, OutOfMemory("x", "x"), OutOfMemory) == 2, "that one was told to stop"
    assert attempt(2, None, TriedTooOften) == 3
    tries = Tries(most=9)
    assert analyzer.run(request, Progress(io.StringIO()), tries=tries)["status"] == "succeeded"
    assert tries.count == 0
