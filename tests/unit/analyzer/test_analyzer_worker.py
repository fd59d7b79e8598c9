"""The queue's rules, with a queue and a clock of the test's own; time passes only where the test says so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from analyzer.contract import ExitCode, JobRequest, SampleMode
from analyzer.errors import (
    AnalyzerError,
    Busy,
    DependencyDown,
    InputUnreadable,
    Interrupted,
    Mismatch,
    OutOfMemory,
    RequestInvalid,
)
from analyzer.interrupt import StopRequest
from analyzer.lease import Lease
from analyzer.sqs import VISIBILITY_MAX_S, Message, MessageGone, Reason
from analyzer.submission import request_of, requests_of
from analyzer.worker import Settings, Worker, delay_s

ENVIRONMENT = {"RESULT_URL": "s3://results/all/", "BACKEND": "null", "VIDEO_URL": "s3://never/used"}
JOB = json.dumps({"video_url": "s3://videos/a.mp4", "session_id": "a", "sample_fps": 5})


@dataclass
class Queue:
    """One queue in memory: what is hidden for 0 seconds comes again at once, as a copy received once more."""

    clock_s: float = 0.0
    waiting: list[Any] = field(default_factory=list)
    has_poison_queue: bool = True
    said: list[tuple[str, Any]] = field(default_factory=list)
    buried: list[tuple[Message, Reason]] = field(default_factory=list)
    fault: Exception | None = None

    def clock(self) -> float:
        return self.clock_s

    def send(self, body: str, receives: int = 1) -> Queue:
        self.waiting.append(Message(id=f"m{len(self.waiting)}", body=body, receipt="r", receives=receives))
        return self

    def receive(self, visibility_s: int) -> Message | None:
        if not self.waiting:
            self.clock_s += 20
            return None
        item = self.waiting.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def hide(self, message: Message, visibility_s: int) -> None:
        self._fail()
        self.said.append(("hide", visibility_s))
        if not visibility_s:
            self.waiting.append(replace(message, receives=message.receives + 1))

    def delete(self, message: Message) -> None:
        self._fail()
        self.said.append(("delete", message.id))

    def bury(self, message: Message, reason: Reason) -> bool:
        if self.has_poison_queue:
            self.buried.append((message, reason))
        return self.has_poison_queue

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


@dataclass
class Bench:
    """A worker at `queue` whose job is `job`; `ran` has the requests and `events` the log."""

    queue: Queue
    job: Callable[[JobRequest, StopRequest], None] = lambda *_: None
    once: bool = True
    idle_exit_s: float | None = None
    ran: list[JobRequest] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)

    def work(self) -> ExitCode:
        @contextmanager
        def keep(lease: Lease) -> Iterator[None]:
            self.leases.append(lease)
            yield

        def run(request: JobRequest, stop: StopRequest) -> None:
            self.ran.append(request)
            self.job(request, stop)

        def pause(seconds: float) -> None:
            self.queue.clock_s += seconds

        settings = Settings(visibility_s=90, receives_max=3, once=self.once, idle_exit_s=self.idle_exit_s)
        return Worker(
            self.queue,
            run,
            settings,
            environment=ENVIRONMENT,
            log=lambda name, **fields: self.events.append({"event": name, **fields}),
            clock=self.queue.clock,
            pause=pause,
            keep=keep,
        ).work()


def raising(error: BaseException) -> Callable[..., None]:
    def job(*_: object) -> None:
        raise error

    return job


def test_a_job_that_is_stored_has_its_message_deleted() -> None:
    bench = Bench(Queue().send(JOB))
    assert bench.work() == ExitCode.OK
    assert bench.queue.said == [("delete", "m0")]
    (request,) = bench.ran
    assert (request.video.url, request.session_id, request.sample_fps) == ("s3://videos/a.mp4", "a", 5.0)
    assert request.result is not None
    assert request.result.url == "s3://results/all/a"
    assert request.backend == "null"


@pytest.mark.parametrize(
    ("error", "receives", "said", "reason"),
    [
        (DependencyDown("database-down", "x"), 1, [("hide", 30)], None),
        (DependencyDown("database-down", "x"), 2, [("hide", 120)], None),
        (DependencyDown("database-down", "x"), 3, [], "database-down"),
        (Busy("session-busy", "x"), 1, [("hide", 30)], None),
        (OutOfMemory("gpu-full", "x"), 2, [("hide", 120)], None),
        (Mismatch("object-refused", "x"), 1, [("hide", 30)], None),
        (Mismatch("object-refused", "x"), 3, [], "object-refused"),
        (InputUnreadable("no-video", "x"), 1, [], "no-video"),
        (RequestInvalid("bad", "x"), 1, [], "bad"),
        (KeyError("tracks"), 1, [], "bug"),
    ],
)
def test_each_failure_has_its_way(
    error: Exception, receives: int, said: list[tuple[str, int]], reason: str | None
) -> None:
    bench = Bench(Queue().send(JOB, receives), raising(error))
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


def test_a_message_received_too_often_is_not_tried_again() -> None:
    bench = Bench(Queue().send(JOB, receives=4))
    assert bench.work() == ExitCode.BUG
    assert bench.ran == []
    assert bench.queue.buried[0][1].code == "received-too-often"


def test_a_signal_gives_the_message_back_at_once() -> None:
    bench = Bench(Queue().send(JOB), raising(Interrupted("SIGTERM")), once=False)
    with pytest.raises(Interrupted):
        bench.work()
    assert bench.queue.said == [("hide", 0)]
    assert bench.queue.buried == []


def test_a_signal_between_messages_ends_with_0() -> None:
    bench = Bench(Queue(waiting=[Interrupted("SIGTERM")]), once=False)
    assert bench.work() == ExitCode.OK


def test_a_message_whose_heartbeat_is_refused_is_neither_deleted_nor_given_back() -> None:
    def job(_: JobRequest, stop: StopRequest) -> None:
        stop.check()
        bench.queue.fault = MessageGone("expired")
        assert not bench.leases[0].beat()
        stop.check()
        pytest.fail("the work goes on without its message")

    bench = Bench(Queue().send(JOB), job)
    assert bench.work() == ExitCode.INTERRUPTED
    assert bench.queue.said == []
    assert bench.events[-1]["event"] == "message-lost"


def test_heartbeats_extend_up_to_twelve_hours_and_then_the_work_goes_back() -> None:
    def job(_: JobRequest, stop: StopRequest) -> None:
        (lease,) = bench.leases
        assert lease.every_s == 30
        while lease.beat():
            stop.check()
            bench.queue.clock_s += lease.every_s
        stop.check()

    bench = Bench(Queue().send(JOB), job)
    assert bench.work() == ExitCode.INTERRUPTED
    *beats, last = bench.queue.said
    assert last == ("hide", 0)
    assert set(beats[:-5]) == {("hide", 90)}
    ends_s = [30 * index + visibility_s for index, (_, visibility_s) in enumerate(beats)]
    assert VISIBILITY_MAX_S - 120 <= max(ends_s) <= VISIBILITY_MAX_S - 60
    assert min(visibility_s for _, visibility_s in beats) >= 30, "nobody else has it before the next beat"
    assert bench.queue.clock_s < VISIBILITY_MAX_S


def test_a_queue_that_is_down_costs_the_message_only_after_its_visibility() -> None:
    queue, stop = Queue(), StopRequest()
    message = Message(id="m", body="", receipt="r", receives=1)
    lease = Lease(queue, message, visibility_s=90, stop=stop, clock=queue.clock)
    queue.fault = DependencyDown("queue-down", "x")
    beats = []
    for _ in range(3):
        queue.clock_s += lease.every_s
        beats.append(lease.beat())
    assert beats == [True, True, False]
    assert stop.by == "the loss of its message"


def test_beats_come_every_third_of_the_visibility_until_the_block_is_left() -> None:
    queue, waits, third = Queue(), [], threading.Event()
    message = Message(id="m", body="", receipt="r", receives=1)
    lease = Lease(queue, message, visibility_s=90, stop=StopRequest(), clock=queue.clock)

    def wait(left: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) < 3:
            return False
        third.set()
        return left.wait(20)

    with lease.kept(wait):
        assert third.wait(20)
    assert (waits, queue.said) == ([30, 30, 30], [("hide", 90), ("hide", 90)])


def test_a_crash_between_commit_and_delete_is_found_finished() -> None:
    stored: list[str] = []

    def job(request: JobRequest, _: StopRequest) -> None:
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


def event(*keys: str, version: str = "", name: str = "ObjectCreated:Put") -> str:
    more = {"versionId": version} if version else {}
    objects = [{"bucket": {"name": "videos"}, "object": {"key": key, "eTag": "e1", **more}} for key in keys]
    return json.dumps({"Records": [{"eventName": name, "s3": each} for each in objects]})


def test_an_s3_event_is_one_job_per_object_with_a_session_of_its_content() -> None:
    first, second = requests_of(event("in/a+b%2B%C3%A9.mp4", "c.mp4"), ENVIRONMENT)
    assert (first.video.bucket, first.video.key) == ("videos", "in/a b+é.mp4")
    assert first.session_id != second.session_id
    again, _ = requests_of(event("in/a+b%2B%C3%A9.mp4", "c.mp4"), ENVIRONMENT)
    assert again.session_id == first.session_id
    (other,) = requests_of(event("in/a+b%2B%C3%A9.mp4", version="v2"), ENVIRONMENT)
    assert other.session_id != first.session_id
    assert (first.video.version, other.video.version) == (None, "v2")
    assert first.video.url == other.video.url
    assert first.result is not None
    assert first.result.url == f"s3://results/all/{first.session_id}"


@pytest.mark.parametrize(
    "body", ['{"Event": "s3:TestEvent"}', '{"Records": []}', event("a", name="ObjectRemoved:Delete")]
)
def test_messages_that_ask_for_nothing_are_deleted(body: str) -> None:
    bench = Bench(Queue().send(body))
    assert bench.work() == ExitCode.OK
    assert (bench.ran, bench.queue.said) == ([], [("delete", "m0")])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "message-unreadable"),
        ("[" * 100_000, "message-unreadable"),
        ("[]", "message-unreadable"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "message-unreadable"),
        (event("%FF"), "message-unreadable"),
        ("{}", "variable-missing"),
        ('{"video_url": "s3://v/a", "database_url": "postgresql://x"}', "field-unknown"),
        ('{"video_url": "s3://v/a", "sample_fps": true}', "field-invalid"),
        ('{"video_url": "s3://v/a", "session_id": "../x"}', "session-id-invalid"),
        ('{"video_url": "http://169.254.169.254/"}', "location-invalid"),
    ],
)
def test_what_is_no_request_is_poison_at_once(body: str, code: str) -> None:
    bench = Bench(Queue().send(body))
    assert bench.work() == ExitCode.USAGE
    assert [why.code for _, why in bench.queue.buried] == [code]


def test_one_bad_object_of_an_event_does_not_keep_the_others_from_being_done() -> None:
    def job(request: JobRequest, _: StopRequest) -> None:
        if request.video.key == "b":
            raise InputUnreadable("no-video", "x")

    bench = Bench(Queue().send(event("a", "b", "c")), job)
    assert bench.work() == ExitCode.INPUT
    assert [each.video.key for each in bench.ran] == ["a", "b", "c"]
    assert bench.queue.buried[0][1].code == "no-video"


def test_a_job_whose_rows_would_go_nowhere_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="neither RESULT_URL nor DATABASE_URL"):
        request_of({"video_url": "s3://v/a"}, {})
    request = request_of({"video_url": "s3://v/a", "sample_mode": "scene"}, {"DATABASE_URL": "postgresql://x"})
    assert (request.sample_mode, request.result) == (SampleMode.SCENE, None)
