"""A message stays ours while its job runs, for as long as the queue lets it."""

from __future__ import annotations

import threading

import pytest

from analyzer.contract import ExitCode, JobRequest
from analyzer.errors import DependencyDown
from analyzer.interrupt import StopRequest
from analyzer.lease import Lease
from analyzer.sqs import VISIBILITY_MAX_S, Message, MessageGone
from analyzer.tries import Tries
from tests.unit.analyzer.queue_parts import JOB, Bench, Queue


def test_a_message_whose_heartbeat_is_refused_is_neither_deleted_nor_given_back() -> None:
    def job(_: JobRequest, stop: StopRequest, _tries: Tries) -> None:
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
    def job(_: JobRequest, stop: StopRequest, _tries: Tries) -> None:
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
