"""The child's ends of what it shares with its parent: slots of memory to write pictures into, and a pipe to tell of them."""

from __future__ import annotations

import json
import mmap
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from analyzer.video.layout import Layout, Plane
from analyzer.video.messages import Message

BEAT_S = 0.5
# Frames that come out within so short a time are told of together: whenever the parent wakes, it takes a core from the decoder.
TOGETHER_S = 0.02
FEWEST_SLOTS = 2
MOST_SLOTS = 64


class Ring:
    """Slots of shared memory; waits for the parent when none is free, and calls `on_wait` before."""

    def __init__(self, memory: int, layout: Layout, ring_bytes: int, *, on_wait: Callable[[], None]) -> None:
        self.slot_bytes = -(-layout.size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.slots = min(MOST_SLOTS, max(FEWEST_SLOTS, ring_bytes // self.slot_bytes))
        os.ftruncate(memory, self.slots * self.slot_bytes)
        self._memory = np.frombuffer(mmap.mmap(memory, self.slots * self.slot_bytes), np.uint8)
        self._layout, self._on_wait = layout, on_wait
        self._free = list(range(self.slots))
        self._text = b""

    def take(self) -> tuple[int, tuple[Plane, Plane, Plane]]:
        """The slot that was given back last, and its planes. Raises: SystemExit, when the parent is gone."""
        # Before it is needed: what was written a moment ago is still in the processor's caches.
        self._collect(0)
        while not self._free:
            self._on_wait()
            self._collect(None)
        slot = self._free.pop()
        return slot, self._layout.planes(self._memory[slot * self.slot_bytes :])

    def _collect(self, wait_s: float | None) -> None:
        """Hear what the parent has given back; None waits for it."""
        while select.select([sys.stdin], [], [], wait_s)[0]:
            read = os.read(sys.stdin.fileno(), 1 << 12)
            if not read:
                raise SystemExit(0)
            *lines, self._text = (self._text + read).split(b"\n")
            self._free += [int(line) for line in lines]
            wait_s = 0


class Teller:
    """Writes messages, of frames some together; a beat at most every half second, so that the parent can tell slow from dead."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_s = clock()
        self._lines: list[str] = []

    def tell(self, message: Message, **fields: Any) -> None:
        self._lines.append(json.dumps({"message": message, **fields}) + "\n")
        if message is not Message.FRAME:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        self._told_s = self._clock()
        sys.stdout.write("".join(self._lines))
        sys.stdout.flush()
        self._lines.clear()

    def beat(self) -> None:
        """To be called often."""
        silent_s = self._clock() - self._told_s
        if self._lines and silent_s >= TOGETHER_S:
            self.flush()
        elif silent_s >= BEAT_S:
            self.tell(Message.BEAT)
