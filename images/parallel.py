"""A few pieces of work at the same time."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

# A registry may throttle more; the critical path of a push is two uploads wide anyway.
PARALLEL = 3


def together(work: Sequence[Callable[[], object]]) -> None:
    """Do all of it in parallel and raise the first failure, after which nothing more of it is begun."""
    begin(work)()


def begin(work: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """Begin it like `together`, and give what waits for its end, as often as it is called.

    A command that is interrupted shall not wait for a registry that hangs, so nobody waits for the threads at the end of the process,
    unlike for those of an executor. An upload that is left alone counts for nothing until its last byte.
    """
    waiting: SimpleQueue[Callable[[], object]] = SimpleQueue()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    failures: list[BaseException] = []
    left = len(work)

    def run() -> None:
        while one := _next(waiting):
            try:
                one()
            # Whatever it is: who waits for the end of all work would wait for ever.
            except BaseException as failure:
                _empty(waiting)
                ended.put(failure)
            else:
                ended.put(None)

    def wait() -> None:
        nonlocal left
        try:
            while left and not failures:
                failure = ended.get()
                left -= 1
                failures.extend([failure] if failure else ())
            if failures:
                raise failures[0]
        except BaseException:
            _empty(waiting)
            raise

    for one in work:
        waiting.put(one)
    try:
        for _ in range(min(PARALLEL, len(work))):
            # `Thread.start` keeps books that an interruption in the middle of it puts into disorder: the thread then dies of a KeyError.
            start_new_thread(run, ())
    except BaseException:
        _empty(waiting)
        raise
    return wait


def _empty(waiting: SimpleQueue[Callable[[], object]]) -> None:
    while _next(waiting):
        pass


def _next(waiting: SimpleQueue[Callable[[], object]]) -> Callable[[], object] | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None
