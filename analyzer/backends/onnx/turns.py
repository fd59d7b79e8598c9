"""Whose turn it is: one device runs one network at a time, and the detector never waits behind a caption."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Urgency(IntEnum):
    """What goes first when several wait; the detector, because everything else waits for what it finds."""

    DETECT = 0
    ATTRIBUTES = 1
    CAPTION = 2


class Turns:
    """A lock whose waiters go in the order of their urgency, and of their arrival among equals."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[Urgency, int]] = []
        self._arrivals = itertools.count()
        self._taken = False

    @property
    def waiting(self) -> int:
        """How many threads wait for their turn."""
        with self._changed:
            return len(self._waiting)

    @contextmanager
    def take(self, urgency: Urgency) -> Iterator[None]:
        """Hold the device for one run of a network."""
        with self._changed:
            ticket = (urgency, next(self._arrivals))
            heapq.heappush(self._waiting, ticket)
            try:
                self._changed.wait_for(lambda: not self._taken and self._waiting[0] == ticket)
                self._taken = True
            finally:
                # Also when a stop signal ends the wait: those behind must not wait for a ticket that nobody holds.
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
