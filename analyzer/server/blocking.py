"""Calls that may block for long, in threads that the server's end does not wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from analyzer.errors import Interrupted

T = TypeVar("T")
# Places that do not serve may keep so many threads waiting.
THREADS_MAX = 16


def begun(call: Callable[[], T]) -> Future[T]:
    """What `call` will return or raise; nothing cancels it."""
    future: Future[T] = Future()
    # From here on, one who waits and gives up cannot cancel it for the others.
    future.set_running_or_notify_cancel()

    def settle() -> None:
        try:
            found = call()
        except (Exception, Interrupted) as error:
            future.set_exception(error)
        else:
            future.set_result(found)

    threading.Thread(target=settle, name="blocking", daemon=True).start()
    return future


class Reader:
    """Reads sources each of whose steps may block, `THREADS_MAX` steps at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(THREADS_MAX)

    async def next(self, source: Iterator[bytes]) -> bytes | None:
        """The next piece, None at the end; whoever is cancelled meanwhile does not wait for it."""
        async with self._turns:
            return await asyncio.wrap_future(begun(lambda: next(source, None)))

    async def rest(self, first: bytes | None, source: Iterator[bytes]) -> AsyncIterator[bytes]:
        """`first`, and what comes after it."""
        piece = first
        while piece is not None:
            yield piece
            piece = await self.next(source)
