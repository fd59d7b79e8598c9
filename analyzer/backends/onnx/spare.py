"""Networks that a job can do without: they are given up, all at once and for good, when the others lack memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class GivenUp(Exception):
    """What was asked of a network that is given up, or is about to be."""


class Spare:
    """The spare networks of a process; those who use several of them for one answer hold them for so long."""

    def __init__(self) -> None:
        self._gone = threading.Event()
        # Reentrant, because the one who uses them may be the one who lacks memory.
        self._in_use = threading.RLock()
        self._closing: list[Callable[[], None]] = []

    @property
    def is_there(self) -> bool:
        """Whether there is anything that could still be given up."""
        return bool(self._closing) and not self._gone.is_set()

    def add(self, close: Callable[[], None]) -> None:
        """One more network; `close` gives its memory back."""
        self._closing.append(close)

    def require(self) -> None:
        """Raises: GivenUp."""
        if self._gone.is_set():
            raise GivenUp

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Another thread that wants them gone waits until the block has noticed. Raises: GivenUp."""
        with self._in_use:
            self.require()
            yield

    def give_up(self) -> None:
        """Close them; afterwards nothing that another thread made with them holds memory."""
        # First, so that whoever uses them notices at the next run and not at the end of an answer.
        self._gone.set()
        with self._in_use:
            for close in self._closing:
                close()
            self._closing = []
