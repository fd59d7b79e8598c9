from __future__ import annotations

import signal
import threading
from _thread import start_new_thread
from collections.abc import Callable
from functools import partial

import pytest

from images.errors import RegistryDenied, RegistryUnreachable
from images.parallel import begin, together


def test_failure_waits_for_no_other() -> None:
    hanging, failed = threading.Event(), threading.Event()

    def fail() -> None:
        failed.set()
        raise RegistryUnreachable("gone", hint="later")

    with pytest.raises(RegistryUnreachable):
        together([hanging.wait, fail])
    assert failed.is_set()
    hanging.set()


def test_what_was_begun_can_be_waited_for_again() -> None:
    done: list[int] = []
    wait = begin([partial(done.append, 1), partial(done.append, 2)])
    wait()
    wait()
    assert sorted(done) == [1, 2]

    def fail() -> None:
        raise RegistryDenied("no", hint="")

    wait = begin([fail])
    for _ in range(2):
        with pytest.raises(RegistryDenied):
            wait()


def test_together_ends_with_whatever_ends_a_part_of_it() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        together([leave])


def test_together_begins_nothing_more_after_a_failure() -> None:
    begun: list[int] = []
    hanging, held = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        held.release()
        hanging.wait()

    def fail() -> None:
        held.acquire()
        held.acquire()
        raise RegistryDenied("no", hint="")

    with pytest.raises(RegistryDenied):
        together([hold, hold, fail, *(partial(begun.append, number) for number in range(3))])
    hanging.set()
    assert begun == []


class Stop(Exception):
    """What a signal raises in the main thread."""


def test_signal_in_the_middle_of_a_start_hurts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, failures = threading.Event(), list[BaseException]()

    def stop(*_: object) -> None:
        raise Stop

    def start_and_stop(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
        def watched(*given: object) -> None:
            try:
                function(*given)
            except BaseException as failure:
                failures.append(failure)
            ended.set()

        started = start_new_thread(watched, arguments)
        signal.raise_signal(signal.SIGUSR1)
        return started

    # As `threading` starts a thread, and as others do.
    monkeypatch.setattr("threading._start_new_thread", start_and_stop)
    monkeypatch.setattr("images.parallel.start_new_thread", start_and_stop)
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(Stop):
            together([list, list])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended.wait(10)
    assert failures == []
