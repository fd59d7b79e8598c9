"""What becomes of a message, by what befell its job."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import cli
from analyzer.contract import ExitCode, JobRequest
from analyzer.errors import (
    AnalyzerError,
    Busy,
    DependencyDown,
    InputUnreadable,
    Interrupted,
    Mismatch,
    OutOfMemory,
    RequestInvalid,
    Superseded,
)
from analyzer.interrupt import StopRequest
from analyzer.tries import Tries
from analyzer.worker import delay_s
from tests.unit.analyzer.queue_parts import JOB, Bench, Queue, raising


def test_a_job_that_is_stored_has_its_message_deleted() -> None:
    bench = Bench(Queue().send(JOB))
    assert bench.work() == ExitCode.OK
    assert bench.queue.said == [("delete", "m0")]
    (request,) = bench.ran
    assert (request.video.url, request.session_id, request.sample_fps) == ("s3://videos/a.mp4", "a", 5.0)
    assert request.result is not None
    assert request.result.url == "s3://results/all/a"
    assert request.backend == "null"


DOWN, BUSY = DependencyDown("database-down", "x"), Busy("session-busy", "x")


@pytest.mark.parametrize(
    ("error", "receives", "count", "said", "reason"),
    [
        (DOWN, 1, None, [("hide", 30)], None),
        (DOWN, 2, None, [("hide", 120)], None),
        (DOWN, 3, None, [], "database-down"),
        # A job that has begun: how often in vain is what its store counts, but no more often than it was received.
        (DOWN, 9, 2, [("hide", 120)], None),
        (DOWN, 9, 0, [("hide", 30)], None),
        (DOWN, 3, 3, [], "database-down"),
        (DOWN, 1, 9, [("hide", 30)], None),
        (BUSY, 1, None, [("hide", 30)], None),
        (BUSY, 3, None, [("hide", 480)], None),
        (BUSY, 9, None, [("hide", 3600)], None),
        (Superseded("attempt-superseded", "x"), 3, 3, [("hide", 480)], None),
        (OutOfMemory("gpu-full", "x"), 2, 2, [("hide", 120)], None),
        (OutOfMemory("gpu-full", "x"), 3, 3, [], "gpu-full"),
        (Mismatch("object-refused", "x"), 1, None, [("hide", 30)], None),
        (Mismatch("object-refused", "x"), 3, None, [], "object-refused"),
        (InputUnreadable("no-video", "x"), 1, 1, [], "no-video"),
        (RequestInvalid("bad", "x"), 1, None, [], "bad"),
        (KeyError("tracks"), 1, 0, [], "bug"),
    ],
)
def test_each_failure_has_its_way(
    error: Exception, receives: int, count: int | None, said: list[tuple[str, int]], reason: str | None
) -> None:
    def job(_request: JobRequest, _stop: StopRequest, tries: Tries) -> None:
        tries.count = count
        raise error

    bench = Bench(Queue().send(JOB, receives), job)
    expected = error.exit_code if isinstance(error, AnalyzerError) else ExitCode.BUG
    assert bench.work() == expected
    assert bench.queue.said == said
    assert [why.code for _, why in bench.queue.buried] == ([reason] if reason else [])
    assert bench.events[-1]["code"] == getattr(error, "code", "bug")


def test_delays_grow_and_end_at_an_hour() -> None:
    assert [delay_s(count) for count in (1, 2, 3, 4, 5, 10_000)] == [30, 120, 480, 1920, 3600, 3600]


def test_poison_without_a_queue_for_it_is_left_to_the_redrive_policy_with_its_reason() -> None:
    bench = Bench(Queue(has_poison_queue=False).send(JOB), raising(InputUnreadable("no-video", "nothing decodes")))
    assert bench.work() == ExitCode.INPUT
    assert bench.queue.said == [("hide", 30)]
    assert bench.events[-1] == {
        "event": "poison-left", "message_id": "m0", "delay_s": 30, "code": "no-video", "exit_code": 65, "message": "nothing decodes"
    }  # fmt: skip


@pytest.mark.parametrize(("receives", "fruitless", "tried"), [(4, 3, False), (4, 2, True), (3, 9, True), (99, 0, True)])
def test_a_message_is_not_tried_again_once_it_was_received_and_tried_in_vain_too_often(
    receives: int, fruitless: int, tried: bool
) -> None:
    """One whose workers were stopped, or made progress, each time is tried however often; so is one that was sent again."""
    ran = []

    def job(request: JobRequest, _stop: StopRequest, tries: Tries) -> None:
        tries.begin(fruitless)
        ran.append(request)

    bench = Bench(Queue().send(JOB, receives), job)
    assert bench.work() == (ExitCode.OK if tried else ExitCode.BUG)
    assert len(ran) == tried
    assert [why.code for _, why in bench.queue.buried] == ([] if tried else ["tried-too-often"])


def test_a_signal_gives_the_message_back_at_once() -> None:
    bench = Bench(Queue().send(JOB), raising(Interrupted("SIGTERM")), once=False)
    with pytest.raises(Interrupted):
        bench.work()
    assert bench.queue.said == [("hide", 0)]
    assert bench.queue.buried == []


def test_a_signal_between_messages_ends_with_0() -> None:
    bench = Bench(Queue(waiting=[Interrupted("SIGTERM")]), once=False)
    assert bench.work() == ExitCode.OK


def test_a_crash_between_commit_and_delete_is_found_finished() -> None:
    stored: list[str] = []

    def job(request: JobRequest, *_: object) -> None:
        if request.session_id not in stored:
            stored.append(request.session_id)
            # The process dies here: nothing is said about the message, which comes again.
            raise SystemExit(137)

    first = Bench(Queue().send(JOB), job)
    with pytest.raises(SystemExit):
        first.work()
    assert first.queue.said == []
    second = Bench(Queue().send(JOB, receives=2), job)
    assert second.work() == ExitCode.OK
    assert stored == ["a"]
    assert second.queue.said == [("delete", "m0")]


def test_a_delete_that_fails_is_no_failure_of_the_job() -> None:
    bench = Bench(Queue(fault=DependencyDown("queue-down", "x")).send(JOB))
    assert bench.work() == ExitCode.OK
    assert bench.events[-1]["event"] == "not-deleted"


def test_idle_time_counts_from_the_last_message_and_a_queue_that_is_down_is_looked_at_again() -> None:
    down = DependencyDown("queue-down", "x")
    bench = Bench(Queue(waiting=[down, down]).send(JOB), once=False, idle_exit_s=60)
    assert bench.work() == ExitCode.OK
    # Pauses of 2 and 4 s, and three looks of 20 s after the message.
    assert bench.queue.clock_s == 66
    assert len(bench.ran) == 1


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--visibility", "0"], "visibility-invalid", ExitCode.USAGE),
        (["--max-receives", "0"], "receives-invalid", ExitCode.USAGE),
        (["--idle-exit", "-1"], "idle-exit-invalid", ExitCode.USAGE),
        (["--metrics-port", "99999"], "port-invalid", ExitCode.USAGE),
        ([], "region-missing", ExitCode.MISMATCH),
    ],
)
def test_what_a_worker_cannot_mean_is_refused_before_it_asks_the_queue(
    options: list[str],
    code: str,
    exit_code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("QUEUE_URL", "https://queue.invalid/1/jobs")
    assert cli.main(["worker", *options]) == exit_code
    assert f"error[{code}]: " in capsys.readouterr().err
