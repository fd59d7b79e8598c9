"""Progress: one JSON line per step and per ten percent for a job's log, one readable line on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

STEP_PERCENT = 10


class Progress:
    """Writes to one stream; remembers the last percentage so that a log stays short."""

    def __init__(
        self, stream: TextIO | None = None, *, session_id: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._session_id = session_id
        self._clock = clock
        self._begin_s = clock()
        self._step = ""
        self._last_percent = 0
        self._readable = self._stream.isatty()

    def step(self, name: str, detail: str = "") -> None:
        """Begin a step; the percentage starts again."""
        self._step, self._last_percent = name, 0
        self._write(f"{name:<10} {detail}", {"event": "progress", "step": name, "detail": detail})

    def percent(self, done: float, total: float) -> None:
        """Tell how far the step is, at most once per ten percent; silent while `total` is unknown (0)."""
        if total <= 0:
            return
        percent = min(100, int(100 * done / total))
        if percent // STEP_PERCENT > self._last_percent // STEP_PERCENT:
            self._last_percent = percent
            self._write(f"{self._step:<10} {percent}%", {"event": "progress", "step": self._step, "percent": percent})

    def event(self, name: str, **fields: object) -> None:
        """Write one JSON event; a terminal shows its `text` field only."""
        self._write(str(fields.pop("text", "")), {"event": name, **fields})

    def _write(self, text: str, event: dict[str, object]) -> None:
        elapsed_s = self._clock() - self._begin_s
        # A reader that closes the pipe must not end the job.
        with suppress(BrokenPipeError):
            self._emit(text, event, elapsed_s)

    def _emit(self, text: str, event: dict[str, object], elapsed_s: float) -> None:
        if self._readable:
            if text:
                self._stream.write(f"{text.rstrip()}  {elapsed_s:.1f}s\n")
        else:
            event = {**event, "session_id": self._session_id, "elapsed_ms": round(1000 * elapsed_s)}
            self._stream.write(json.dumps(event, separators=(",", ":")) + "\n")
        self._stream.flush()
