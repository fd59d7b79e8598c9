"""The child's ends of what it shares with its parent: slots of memory to write pictures into, and a pipe to tell of them."""

from __future__ import annotations

import json
import mmap
import os
import sys
import time
from typing import Any

import numpy as np

from analyzer.video.layout import Layout, Plane
from analyzer.video.messages import Message

BEAT_S = 0.5
FEWEST_SLOTS = 2
MOST_SLOTS = 64


class Ring:
    """Slots of shared memory; waits for the parent when none is free."""

    def __init__(self, memory: int, layout: Layout, ring_bytes: int) -> None:
        self.slot_bytes = -(-layout.size_bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        self.slots = min(MOST_SLOTS, max(FEWEST_SLOTS, ring_bytes // self.slot_bytes))
        os.ftruncate(memory, self.slots * self.slot_bytes)
        self._memory = np.frombuffer(mmap.mmap(memory, self.slots * self.slot_bytes), np.uint8)
        self._layout = layout
        self._free = list(range(self.slots))

    def take(self) -> tuple[int, tuple[Plane, Plane, Plane]]:
        """A free slot and its planes. Raises: SystemExit, when the parent is gone."""
        if not self._free:
            line = sys.stdin.readline()
            if not line:
                raise SystemExit(0)
            self._free.append(int(line))
        slot = self._free.pop()
        return slot, self._layout.planes(self._memory[slot * self.slot_bytes :])


class Teller:
    """Writes messages; a beat at most every half second, so that the parent can tell slow from dead."""

    def __init__(self) -> None:
        self._beat_s = time.monotonic()

    def tell(self, message: Message, **fields: Any) -> None:
        sys.stdout.write(json.dumps({"message": message, **fields}) + "\n")
        sys.stdout.flush()

    def beat(self) -> None:
        now_s = time.monotonic()
        if now_s - self._beat_s >= BEAT_S:
            self._beat_s = now_s
            self.tell(Message.BEAT)
