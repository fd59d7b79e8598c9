"""How far a job is: told to a log as JSON lines, to a terminal as one line that is rewritten, and to whoever else watches."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TextIO

STEP_PERCENT = 10
# A terminal's line is rewritten no more often, which costs nothing and still looks alive.
REWRITE_EVERY_S = 0.1
# Before this much of a second, a rate says nothing.
PACE_MIN_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Where a job is: what each of its doors shows.

    `percent` of the step, 0 to 100; `fps` are frames of the video, whether looked at or not, per second of work; `eta_s` are the seconds
    until the step ends at the pace so far. None = not known (yet).
    """

    step: str = ""
    percent: float | None = None
    fps: float | None = None
    eta_s: float | None = None
    attempt: int | None = None


class Progress:
    """Writes to one stream, sparingly; `watch` is given every advance, in the thread of the work.

    Those calls are the safe points of a job: what `watch` raises ends it there.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        session_id: str = "",
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[[Advance], None] = lambda _: None,
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._session_id, self._clock, self._watch = session_id, clock, watch
        self._begin_s = clock()
        self._advance = Advance()
        # Where the pace of the step is measured from: seconds, and what was done then.
        self._from: tuple[float, float, float] | None = None
        self._told_percent, self._rewritten_s = 0, 0.0
        self._line_open = False
        self._turn = Lock()
        self._readable = self._stream.isatty()

    def attempt(self, number: int) -> None:
        """This is the work's attempt number `number`, from 1."""
        self._advance = replace(self._advance, attempt=number)

    def step(self, name: str, detail: str = "") -> None:
        """Begin a step; the percentage starts again."""
        self._advance = Advance(step=name, attempt=self._advance.attempt)
        self._from, self._told_percent = None, 0
        self._write(f"{name:<10} {detail}", {"event": "progress", "step": name, "detail": detail})
        self._watch(self._advance)

    def percent(self, done: float, total: float, frames: float = 0) -> None:
        """Tell how far the step is, and how many of the video's frames that is; the share stays unknown while `total` is (0)."""
        now_s = self._clock()
        if self._from is None:
            self._from = now_s, done, frames
        self._advance = self._measured(now_s, done, total, frames)
        if total > 0:
            self._tell(now_s)
        self._watch(self._advance)

    def stand(self) -> None:
        """A safe point where nothing has advanced."""
        self._watch(self._advance)

    def event(self, name: str, **fields: object) -> None:
        """Write one JSON event; a terminal shows its `text` field only, on a new line, which whoever writes next has where it is empty."""
        self._write(str(fields.pop("text", "")), {"event": name, **fields})

    def end_line(self) -> None:
        """Leave a terminal's line that is rewritten, so that what another writes there begins a new one."""
        with self._turn, suppress(OSError):
            self._leave_line()
            self._stream.flush()

    def _measured(self, now_s: float, done: float, total: float, frames: float) -> Advance:
        assert self._from is not None
        from_s, from_done, from_frames = self._from
        taken_s, percent = now_s - from_s, min(100.0, 100 * done / total) if total > 0 else None
        if taken_s < PACE_MIN_S:
            return replace(self._advance, percent=percent)
        rate = (done - from_done) / taken_s
        return replace(
            self._advance,
            percent=percent,
            fps=(frames - from_frames) / taken_s if frames else None,
            eta_s=max(0.0, total - done) / rate if rate > 0 and total > 0 else None,
        )

    def _tell(self, now_s: float) -> None:
        percent = int(self._advance.percent or 0)
        if self._readable:
            if now_s - self._rewritten_s >= REWRITE_EVERY_S or percent == 100:
                self._rewritten_s = now_s
                self._write(_line(self._advance), {}, stays=False)
        elif percent // STEP_PERCENT > self._told_percent // STEP_PERCENT:
            self._told_percent = percent
            known = {"fps": self._advance.fps, "eta_seconds": self._advance.eta_s}
            more = {name: round(value, 1) for name, value in known.items() if value is not None}
            self._write("", {"event": "progress", "step": self._advance.step, "percent": percent, **more})

    def _write(self, text: str, event: dict[str, object], *, stays: bool = True) -> None:
        elapsed_s = self._clock() - self._begin_s
        # A reader that closes the pipe, or a log's disk that is full, must not end the job.
        with self._turn, suppress(OSError):
            if self._readable:
                self._show(text, elapsed_s, stays=stays)
            else:
                event = {**event, "session_id": self._session_id, "elapsed_ms": round(1000 * elapsed_s)}
                self._stream.write(json.dumps(event, separators=(",", ":")) + "\n")
            self._stream.flush()

    def _show(self, text: str, elapsed_s: float, *, stays: bool) -> None:
        if stays:
            self._leave_line()
        if not text:
            return
        start = "\r\x1b[K" if not stays and self._line_open else ""
        self._stream.write(f"{start}{text.rstrip()}  {elapsed_s:.1f}s" + ("\n" if stays else ""))
        self._line_open = not stays

    def _leave_line(self) -> None:
        if self._line_open:
            self._stream.write("\n")
        self._line_open = False


def _line(advance: Advance) -> str:
    words = [f"{advance.step:<10} {int(advance.percent or 0):>3}%"]
    if advance.fps is not None:
        words.append(f"{advance.fps:.0f} fps")
    if advance.eta_s is not None:
        minutes, seconds = divmod(round(advance.eta_s), 60)
        words.append(f"{minutes}:{seconds:02d} left")
    return "  ".join(words)
