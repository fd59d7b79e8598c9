"""The queue's door: message after message through one `Analyzer`, each deleted only when all that it asks for is stored.

What becomes of a message, by the exit code that its job would have had:

- 0: deleted;
- 64, 65, 70: poison at once, because the same message fails the same way again;
- 69, 75: given back, to be received after a delay that grows with the times it was tried in vain;
- 78: given back likewise: what is wrong is the worker's configuration, which may be mended before the message is poison;
- any of them at its `receives_max`-th try in vain, and without being tried a message that was tried more often: poison;
- 75 because another attempt has the session: given back, however often.

SQS counts how often a message was received, also by workers that were stopped, or that found its session busy. So the try that counts
is the lower of that count and the store's (`tries.py`), which knows which attempts were told to stop and which committed something.
A failure before there is an attempt (a store that is down) is counted by SQS alone.

Poison goes to the dead-letter queue with its reason; where none is named it is given back with the reason in the log, and the queue's
redrive policy moves it. A message whose worker is stopped goes back at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from analyzer.contract import ExitCode, JobRequest
from analyzer.errors import AnalyzerError, Busy, DependencyDown, Interrupted, Superseded
from analyzer.failure import Failure, failure_of
from analyzer.interrupt import StopRequest
from analyzer.lease import Ended, Lease
from analyzer.sqs import Message, MessageGone, Queue, Reason
from analyzer.submission import requests_of
from analyzer.tries import Tries

PERMANENT = (ExitCode.USAGE, ExitCode.INPUT, ExitCode.BUG)
DELAY_FIRST_S = 30
DELAY_FACTOR = 4
DELAY_MAX_S = 3600
# Between looks at a queue that does not serve.
PAUSE_MAX_S = 60


class Log(Protocol):
    def __call__(self, name: str, **fields: object) -> None: ...


Run = Callable[[JobRequest, StopRequest, Tries], None]
Keep = Callable[[Lease], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a worker treats its messages: seconds of visibility, tries in vain until poison, seconds without a message until it ends."""

    visibility_s: int
    receives_max: int
    idle_exit_s: float | None = None
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Why a message is not done, how often it was tried in vain, 0 = not once, and how long nobody tries it again."""

    failure: Failure
    tries: int = 0
    delay_s: int = 0


class Worker:
    """Takes messages one at a time. `run` does a job in the calling thread; it raises what ended the job."""

    def __init__(
        self,
        queue: Queue,
        run: Run,
        settings: Settings,
        *,
        environment: Mapping[str, str],
        log: Log,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        keep: Keep = Lease.kept,
    ) -> None:
        self._queue, self._run, self._settings = queue, run, settings
        self._environment, self._log = environment, log
        self._clock, self._pause, self._keep = clock, pause, keep

    def work(self) -> ExitCode:
        """Until idle for long enough, or after one message; returns the worst that befell that one message.

        Raises: Interrupted, when a signal cut a job off; Mismatch, when the queue refuses.
        """
        idle_since_s, downs = self._clock(), 0
        while True:
            try:
                message = self._queue.receive(self._settings.visibility_s)
                downs = 0
            except Interrupted:
                # Nothing was cut off: a message that came in this very moment is seen again after its visibility.
                return ExitCode.OK
            except DependencyDown as error:
                message, downs = None, downs + 1
                self._log("queue-down", code=error.code, message=error.message)
            if message is not None:
                exit_code = self._take(message)
                idle_since_s = self._clock()
                if self._settings.once:
                    return exit_code
                continue
            idle_s = self._clock() - idle_since_s
            if self._settings.once or (self._settings.idle_exit_s is not None and idle_s >= self._settings.idle_exit_s):
                return ExitCode.UNAVAILABLE if downs else ExitCode.OK
            if downs:
                try:
                    self._pause(min(PAUSE_MAX_S, 2.0**downs))
                except Interrupted:
                    return ExitCode.OK

    def _take(self, message: Message) -> ExitCode:
        self._log("received", message_id=message.id, receives=message.receives)
        stop = StopRequest()
        lease = Lease(self._queue, message, visibility_s=self._settings.visibility_s, stop=stop, clock=self._clock)
        try:
            with self._keep(lease):
                end = self._serve(message, stop)
        except Interrupted as error:
            if lease.ended is None:
                self._give_back(message, 0, failure_of(error))
                raise
            end = _End(failure=failure_of(error))
        if lease.ended is Ended.LOST:
            # Somebody else may have it by now: what is said about it is theirs to say.
            self._log("message-lost", message_id=message.id)
            return ExitCode.INTERRUPTED
        if end is None:
            self._delete(message)
            return ExitCode.OK
        if lease.ended is Ended.TOO_LONG:
            self._give_back(message, 0, end.failure)
        elif end.failure.exit_code in PERMANENT or end.tries >= self._settings.receives_max:
            return self._poison(message, end.failure)
        else:
            self._give_back(message, end.delay_s, end.failure)
        return end.failure.exit_code

    def _serve(self, message: Message, stop: StopRequest) -> _End | None:
        """Do every job of the message; what failed for good does not keep the others from being done."""
        try:
            asked = requests_of(message.body, self._environment)
        # Whatever it is: it befalls this message again, and no other.
        except Exception as error:
            return _End(failure=failure_of(error))
        if asked.own_results:
            self._log("own-results", message_id=message.id, objects=asked.own_results)
        permanent = None
        most = self._settings.receives_max
        for request in asked.requests:
            # A message that somebody sends again has its tries again, whatever the store knows of earlier ones.
            tries = Tries(most=most if message.receives > most else None)
            try:
                self._run(request, stop, tries)
            except (Busy, Superseded) as error:
                return _End(failure=failure_of(error), delay_s=delay_s(message.receives))
            except Exception as error:
                failure = failure_of(error)
                if failure.exit_code not in PERMANENT:
                    count = message.receives if tries.count is None else min(message.receives, tries.count)
                    return _End(failure=failure, tries=count, delay_s=delay_s(max(1, count)))
                permanent = permanent or _End(failure=failure)
        return permanent

    def _delete(self, message: Message) -> None:
        try:
            self._queue.delete(message)
            self._log("deleted", message_id=message.id)
        except (AnalyzerError, MessageGone) as error:
            # It comes again, and finds its session finished.
            self._log("not-deleted", message_id=message.id, message=str(error))

    def _poison(self, message: Message, failure: Failure) -> ExitCode:
        reason = Reason(code=failure.code, exit_code=int(failure.exit_code), message=failure.message)
        try:
            moved = self._queue.bury(message, reason)
        except (AnalyzerError, MessageGone) as error:
            self._log("not-buried", message_id=message.id, message=str(error))
            return failure.exit_code
        if moved:
            self._log("poison", message_id=message.id, **_told(failure))
        else:
            self._give_back(message, delay_s(message.receives), failure, event="poison-left")
        return failure.exit_code

    def _give_back(self, message: Message, seconds: int, failure: Failure, *, event: str = "given-back") -> None:
        told: dict[str, Any] = {"message_id": message.id, "delay_s": seconds, **_told(failure)}
        try:
            self._queue.hide(message, seconds)
            self._log(event, **told)
        except (AnalyzerError, MessageGone) as error:
            # Its visibility ends by itself.
            self._log("not-given-back", message_id=message.id, message=str(error))


def delay_s(times: int) -> int:
    """Until a message that was tried so often is tried again: half a minute, then four times as long each time, at most an hour."""
    return int(min(DELAY_MAX_S, DELAY_FIRST_S * DELAY_FACTOR ** min(times - 1, 10)))


def _told(failure: Failure) -> dict[str, object]:
    return {"code": failure.code, "exit_code": int(failure.exit_code), "message": failure.message}
