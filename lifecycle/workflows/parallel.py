"""Work on many files at once, and reads side by side, stopped as a whole by the first failure or by a signal."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from lifecycle.errors import Interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")
Advance = Callable[[int], None]


def for_each(
    items: Sequence[Item], work: Callable[[Item, Advance], Result], *, advance: Advance, workers: int | None = 4
) -> tuple[Result, ...]:
    """`work` on every item, results in the order of `items`; None `workers` stands for a few more than there are cores.

    Each call gets its own way to report amounts to `advance`, which is also where it is stopped when another call has failed or
    the caller was interrupted. Raises the first failure.
    """
    stopped = Event()

    def report(amount: int) -> None:
        if stopped.is_set():
            raise Interrupted("interrupted", "Another file failed, or the command was interrupted")
        advance(amount)

    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        futures = [pool.submit(work, item, report) for item in items]
        finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in finished:
            if failure := future.exception():
                raise failure
        return tuple(future.result() for future in futures)
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def side_by_side(most: int) -> Iterator[ThreadPoolExecutor]:
    """A pool for at most `most` reads that need nothing of each other; one that has not begun when the block is left never begins."""
    pool = ThreadPoolExecutor(max_workers=most)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
