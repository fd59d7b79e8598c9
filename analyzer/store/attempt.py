"""The record of a session's attempts in a place: who works on it, since when, and what it died in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from threading import Event, RLock, Thread
from typing import Any, Self
from uuid import uuid4

from analyzer.contract import WORK_FOLDER
from analyzer.errors import DependencyDown, Mismatch, Superseded
from analyzer.store.base import Work
from analyzer.store.rows import JOB_COLUMNS, to_json
from analyzer.store.state import FINISHED, State

SCHEMA = "capctl.attempt/1"
RECORD = f"{WORK_FOLDER}/attempt.json"
# An attempt that has said nothing for so long is dead; the clocks of two hosts may differ by a few seconds.
LEASE_S = 60.0
BEAT_EVERY_S = 15.0
# An attempt that is told to stop has ten seconds, six of which its last segments may have taken; a place that does not answer is waited
# for three times: by the sign of life that is under way, to note the end, and to let the session go.
STOP_WITHIN_S = 1.0


# What a field of the record is once JSON was read, besides `state`; a truth value is no number there.
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("session_id", "fingerprint", "video_url", "holder"), (str,)),
    **dict.fromkeys(("attempt", "since_attempt"), (int,)),
    **dict.fromkeys(("heartbeat_s", "progress"), (int, float)),
    **dict.fromkeys(("request", "strikes"), (dict,)),
    "running": (list,),
    "outcome": (dict, type(None)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """`since_attempt` is the first attempt at the same work; `holder` is empty when nobody holds the session.

    `fruitless` counts attempts in a row, this one included, that have committed nothing and were not told to stop.
    """

    session_id: str
    fingerprint: str
    video_url: str
    request: Mapping[str, Any]
    attempt: int
    since_attempt: int
    state: State = State.RUNNING
    holder: str = ""
    heartbeat_s: float = 0.0
    progress: float = 0.0
    running: list[int] = field(default_factory=list)
    strikes: dict[int, int] = field(default_factory=dict)
    fruitless: int = 0
    outcome: Mapping[str, Any] | None = None

    @classmethod
    def from_bytes(cls, content: bytes, url: str) -> Self:
        """Raises: Mismatch, for what is not a record, or one of another version."""
        try:
            values = json.loads(content)
            if values.pop("schema") != SCHEMA:
                raise ValueError(SCHEMA)
            values["state"] = State(values["state"])
            values["strikes"] = {int(segment): count for segment, count in values["strikes"].items()}
            record = cls(**values)
            if not record._is_sound():
                raise ValueError(SCHEMA)
            return record
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Mismatch(
                "attempt-unreadable",
                f"`{RECORD}` in `{url}` is no record of this analyzer's version",
                hint="Name another folder, or delete this one's `work/`",
            ) from error

    def to_bytes(self) -> bytes:
        return to_json({"schema": SCHEMA, **asdict(self)}).encode()

    def with_changes(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def is_of(self, work: Work) -> bool:
        return (self.session_id, self.fingerprint) == (work.session_id, work.fingerprint)

    def is_finished(self, work: Work) -> bool:
        return self.is_of(work) and self.state in FINISHED

    def is_alive(self, now_s: float) -> bool:
        return self.state is State.RUNNING and bool(self.holder) and now_s - self.heartbeat_s < LEASE_S

    def job_row(self) -> dict[str, Any]:
        """The line of `analysis_jobs.jsonl`."""
        return {column: getattr(self, column) for column in JOB_COLUMNS}

    def _is_sound(self) -> bool:
        """Whether JSON gave each field what it is."""
        return (
            all(type(getattr(self, name)) in kinds for name, kinds in _KINDS.items())
            and {*map(type, (*self.running, *self.strikes.values()))} <= {int}
            and (self.state not in FINISHED or self.outcome is not None)
        )


def claimed(before: AttemptRecord | None, work: Work, *, now_s: float, next_segment: int) -> AttemptRecord:
    """The record of an attempt that begins now; what the one before had begun and not ended is what it died in.

    The number goes on where the work is another, so that no attempt at the old work has the number of one at the new.
    """
    attempt = before.attempt + 1 if before is not None else 1
    record = AttemptRecord(
        session_id=work.session_id,
        fingerprint=work.fingerprint,
        video_url=work.video_url,
        request=dict(work.request),
        attempt=attempt,
        since_attempt=attempt,
        holder=uuid4().hex,
        heartbeat_s=now_s,
        fruitless=1,
    )
    if before is None or not before.is_of(work):
        return record
    strikes = {segment: count for segment, count in before.strikes.items() if segment >= next_segment}
    for segment in before.running:
        if segment >= next_segment:
            strikes[segment] = strikes.get(segment, 0) + 1
    return replace(
        record,
        since_attempt=before.since_attempt,
        strikes=strikes,
        progress=before.progress,
        fruitless=before.fruitless + 1,
    )


class Heartbeat:
    """Calls `beat` every `BEAT_EVERY_S` in a thread, from entering to leaving the block, or until another attempt took over."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stop = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        # The attempt itself hears of being superseded at its next call; a place that does not serve may serve again.
        with suppress(Superseded):
            while not self._stop.wait(BEAT_EVERY_S):
                with suppress(DependencyDown, Mismatch):
                    self._beat()


def say_last(action: Callable[[], None], turn: RLock, *, wait_s: float | None) -> None:
    """Run `action` in its turn, and wait for it that long, None = to its end. Never raises."""

    def say() -> None:
        with suppress(Exception):
            if turn.acquire(timeout=STOP_WITHIN_S):
                try:
                    action()
                finally:
                    turn.release()

    thread = Thread(target=say, name="last-word", daemon=True)
    thread.start()
    thread.join(wait_s)
