"""Analyses that clients asked for: a bounded queue, one thread that runs them one at a time, and how each of them stands."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from analyzer.contract import ExitCode, JobRequest
from analyzer.errors import Interrupted
from analyzer.failure import Failure, failure_of
from analyzer.interrupt import StopRequest
from analyzer.progress import Advance
from analyzer.readings import Metric, Reading, gauge

# Ended analyses are remembered up to this many; their results stay where they are.
REMEMBERED_MAX = 1000
CANCELLED = "a request to cancel"
SHUTDOWN = "the server's shutdown"


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


WITH_RESULT = (State.SUCCEEDED, State.PARTIAL)
WITHOUT_RESULT = (State.FAILED, State.CANCELLED)
ENDED = (*WITH_RESULT, *WITHOUT_RESULT)


class QueueFull(Exception):
    """No room; ask again in `retry_s` seconds."""

    def __init__(self, retry_s: int) -> None:
        super().__init__(retry_s)
        self.retry_s = retry_s


class InUse(Exception):
    """The session is queued or running with another request."""


class HasResult(Exception):
    """The session has the result of another request."""


class PlaceInUse(Exception):
    """The result would go where that of the analysis `holder` lies, or will lie."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(slots=True, kw_only=True)
class Analysis:
    """One request and how it stands; read under its `Analyses`' lock only, through `document`. `place` is where its result goes."""

    request: JobRequest
    place: str | None
    state: State = State.QUEUED
    advance: Advance = field(default_factory=Advance)
    failure: Failure | None = None
    stop: StopRequest = field(default_factory=StopRequest)

    def document(self) -> dict[str, Any]:
        """As clients see it: `percent` is of the current step, and 100 of what is done."""
        done = self.state in WITH_RESULT
        failure = self.failure
        return {
            "id": self.request.session_id,
            "status": str(self.state),
            "step": self.advance.step or None,
            "percent": 100.0 if done else _rounded(self.advance.percent),
            "fps": _rounded(self.advance.fps),
            "eta_seconds": 0.0 if done else _rounded(self.advance.eta_s),
            "attempt": self.advance.attempt,
            "error": failure and {"code": failure.code, "message": failure.message, "hint": failure.hint},
        }


# Runs one job in the calling thread, tells each advance, and returns the result document.
Run = Callable[[JobRequest, Callable[[Advance], None]], dict[str, Any]]


class Analyses:
    """`load` makes the models ready, in the thread that runs the jobs, and returns what runs one; `room` may wait."""

    def __init__(self, load: Callable[[StopRequest], Run], *, room: int, on_load_failed: Callable[[], None]) -> None:
        self._load, self._room, self._on_load_failed = load, room, on_load_failed
        self._changed = threading.Condition()
        self._known: dict[str, Analysis] = {}
        self._waiting: deque[Analysis] = deque()
        self._running: Analysis | None = None
        self._ended = dict.fromkeys(ENDED, 0)
        self._stop = StopRequest()
        self._last_s = 60.0
        self.is_loaded = False
        self.load_failure: Failure | None = None
        self.was_cut_off = False
        self._thread = threading.Thread(target=self._work, name="analyses", daemon=True)
        self._thread.start()

    def submit(self, request: JobRequest) -> dict[str, Any]:
        """Queue `request`; the same request again is the same analysis, and a failed or cancelled one begins again.

        Raises: QueueFull; InUse, while another request has the session; HasResult, when another request of it has one;
        PlaceInUse, unless the other one of the place has no result.
        """
        place = request.result.place if request.result else None
        with self._changed:
            known = self._known.get(request.session_id)
            # One that runs to its end after a cancel has no say any more: what is submitted meanwhile waits behind it.
            if known is not None and known.state is not State.CANCELLING:
                if known.request == request and known.state not in WITHOUT_RESULT:
                    return known.document()
                if known.state in WITH_RESULT:
                    raise HasResult(request.session_id)
                if known.state not in ENDED:
                    raise InUse(request.session_id)
            for session_id, each in self._known.items():
                is_taken = place and each.place == place and each.state not in WITHOUT_RESULT
                if is_taken and session_id != request.session_id:
                    raise PlaceInUse(session_id)
            if len(self._waiting) >= self._room:
                raise QueueFull(round(min(3600, max(1, self._last_s))))
            analysis = Analysis(request=request, place=place)
            # The newest are the last, so that the oldest ended ones can be forgotten first.
            self._known.pop(request.session_id, None)
            self._known[request.session_id] = analysis
            self._forget()
            self._waiting.append(analysis)
            self._changed.notify_all()
            return analysis.document()

    def get(self, session_id: str) -> tuple[JobRequest, dict[str, Any]] | None:
        """The request and how it stands, None for one that is not known."""
        with self._changed:
            found = self._known.get(session_id)
            return (found.request, found.document()) if found else None

    def newest(self, limit: int) -> dict[str, Any]:
        """How the `limit` last submitted ones stand, the newest first, and how many are known in all."""
        with self._changed:
            last = islice(reversed(self._known.values()), limit)
            return {"analyses": [each.document() for each in last], "total": len(self._known)}

    def cancel(self, session_id: str) -> dict[str, Any] | None:
        """A queued one ends at once, a running one at its next safe point, an ended one stays as it is."""
        with self._changed:
            found = self._known.get(session_id)
            if found is None:
                return None
            found.stop.request(CANCELLED)
            if found.state is State.QUEUED:
                self._waiting.remove(found)
                found.state = State.CANCELLED
                self._ended[found.state] += 1
            elif found.state is State.RUNNING and found.stop.by == CANCELLED:
                found.state = State.CANCELLING
            return found.document()

    def readings(self) -> list[Reading]:
        """How many wait and run now, and have ended since the server began."""
        with self._changed:
            return [
                gauge(Metric.ANALYSES_WAITING, len(self._waiting)),
                gauge(Metric.ANALYSES_RUNNING, int(self._running is not None)),
                *(gauge(Metric.ANALYSES_ENDED, count, str(outcome)) for outcome, count in self._ended.items()),
            ]

    def stop(self) -> None:
        """Ask for the end: of the running job at its next safe point, and of the thread. Takes no lock: a signal's handler may call it."""
        self._stop.request(SHUTDOWN)
        running = self._running
        if running is not None:
            running.stop.request(SHUTDOWN)

    def close(self, wait_s: float) -> bool:
        """Stop, and wait that long; whether work was cut off: a job that ran, or one that had not begun."""
        self.stop()
        self._thread.join(wait_s)
        return self.was_cut_off or bool(self._waiting) or self._running is not None

    @property
    def is_busy(self) -> bool:
        """Whether the thread has not come to its end."""
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            run = self._load(self._stop)
        except (Exception, Interrupted) as error:
            self.load_failure = failure_of(error)
            self._on_load_failed()
            return
        self.is_loaded = True
        while (analysis := self._next()) is not None:
            begin_s = time.monotonic()
            self._run(run, analysis)
            self._last_s = time.monotonic() - begin_s

    def _next(self) -> Analysis | None:
        with self._changed:
            while not self._stop.by:
                if self._waiting:
                    self._running = analysis = self._waiting.popleft()
                    analysis.state = State.RUNNING
                    return analysis
                # In short waits, because `stop` cannot notify.
                self._changed.wait(0.2)
            return None

    def _run(self, run: Run, analysis: Analysis) -> None:
        def watch(advance: Advance) -> None:
            analysis.advance = advance
            analysis.stop.check()

        try:
            if self._stop.by:
                analysis.stop.request(SHUTDOWN)
            document = run(analysis.request, watch)
            failure = None
        except (Exception, Interrupted) as error:
            failure = failure_of(error)
            self.was_cut_off |= failure.exit_code is ExitCode.INTERRUPTED and analysis.stop.by == SHUTDOWN
        with self._changed:
            if failure is None:
                analysis.state = State(document["status"])
            elif failure.exit_code is ExitCode.INTERRUPTED and analysis.stop.by == CANCELLED:
                analysis.state = State.CANCELLED
            else:
                analysis.state, analysis.failure = State.FAILED, failure
            self._ended[analysis.state] += 1
            self._running = None

    def _forget(self) -> None:
        ended = [key for key, each in self._known.items() if each.state in ENDED]
        for key in ended[: max(0, len(self._known) - REMEMBERED_MAX)]:
            del self._known[key]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
