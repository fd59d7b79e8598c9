"""When a job came how far, who says so, and which part of the way took longer than it should."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from lifecycle.domain.job import JobRecord, JobState
from lifecycle.domain.measures import duration_text


class Point(StrEnum):
    """A point on the way of a job, in the order of the way; an attempt that is `LOST` leads back to its beginning."""

    SUBMITTED = "submitted"
    RUNNABLE = "runnable"
    STARTING = "starting"
    RUNNING = "running"
    LOST = "attempt lost"
    BEGUN = "begun"
    MODELS = "models loaded"
    FIRST_FRAME = "first frame"
    DONE = "done"


class Source(StrEnum):
    """Who says when: Batch and the container to the millisecond; what was `SEEN` began between that look and the one before."""

    BATCH = "batch"
    SEEN = "seen"
    CONTAINER = "container"


# What leads to each point, and how many seconds that takes at most where all is well: a host with a GPU boots and joins in two to four
# minutes, and pulls 300 MB in well under one. How long an analysis takes is up to the video.
_WAY: dict[Point, tuple[str, float | None]] = {
    Point.SUBMITTED: ("", None),
    Point.RUNNABLE: ("Batch takes it in", 10),
    Point.STARTING: ("waiting for a host", 240),
    Point.RUNNING: ("pulling the image, starting the container", 90),
    Point.BEGUN: ("starting the program", 15),
    Point.MODELS: ("checking and loading the models", 60),
    Point.FIRST_FRAME: ("fetching and opening the video", 15),
    Point.DONE: ("analysing, storing, ending", None),
}
_ORDER = [*_WAY]
_STATES = {JobState.RUNNABLE: Point.RUNNABLE, JobState.STARTING: Point.STARTING, JobState.RUNNING: Point.RUNNING}
# As the container names them in `timeline` of its result.
_TOLD = {"begun_ms": Point.BEGUN, "models_ms": Point.MODELS, "first_frame_ms": Point.FIRST_FRAME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A state that a look saw, which the look before did not; `at_ms` since the epoch, by Batch's clock."""

    state: JobState
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """That a job came to a point; `at_ms` since the epoch."""

    point: Point
    at_ms: int
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The way from one mark to the next; `usual_s` is how long it takes at most where all is well, None where nobody can say."""

    begin: Mark
    end: Mark
    what: str
    usual_s: float | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end.at_ms - self.begin.at_ms) / 1000

    @property
    def line(self) -> str:
        """`runnable -> starting, 3m34s: waiting for a host (usually up to 4m00s)`."""
        usual = f" (usually up to {duration_text(self.usual_s)})" if self.usual_s else ""
        return f"{self.begin.point} -> {self.end.point}, {duration_text(self.seconds)}: {self.what}{usual}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The marks of a job in their order in time."""

    marks: tuple[Mark, ...] = ()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What lies between the marks."""
        return tuple(_phase(begin, end) for begin, end in pairwise(self.marks))

    @property
    def slowest(self) -> Phase | None:
        """The phase that took longest beyond what is usual, or longest at all where none did; None with a single mark."""
        return max(self.phases, key=lambda each: (_beyond_s(each), each.seconds), default=None)


def timeline(job: JobRecord, seen: Iterable[Seen] = (), told: object = None) -> Timeline:
    """All that is known: Batch's own times, else the looks that saw a state, and what the container told of itself, in `timeline` of its
    result, whatever that may hold.
    """
    lost = _lost_attempts(job)
    marks = [Mark(point=Point.SUBMITTED, at_ms=job.created_ms, source=Source.BATCH)]
    for started_ms, stopped_ms in lost:
        if 0 < started_ms < stopped_ms:
            marks.append(Mark(point=Point.RUNNING, at_ms=started_ms, source=Source.BATCH))
        marks.append(Mark(point=Point.LOST, at_ms=stopped_ms, source=Source.BATCH))
    is_started = job.started_ms > 0 and job.started_ms not in {started_ms for started_ms, _ in lost}
    if is_started:
        marks.append(Mark(point=Point.RUNNING, at_ms=job.started_ms, source=Source.BATCH))
    for each in seen:
        if each.state in _STATES and not (each.state is JobState.RUNNING and (is_started or lost)):
            marks.append(Mark(point=_STATES[each.state], at_ms=each.at_ms, source=Source.SEEN))
    for name, point in _TOLD.items():
        at_ms = told.get(name) if isinstance(told, dict) else None
        if isinstance(at_ms, int) and is_started:
            # Batch hears of the start after the container, and may have another clock.
            within_ms = min(max(at_ms, job.started_ms), job.stopped_ms or at_ms)
            marks.append(Mark(point=point, at_ms=within_ms, source=Source.CONTAINER))
    if job.state.is_final and job.stopped_ms:
        marks.append(Mark(point=Point.DONE, at_ms=job.stopped_ms, source=Source.BATCH))
    return Timeline(marks=tuple(sorted(marks, key=lambda mark: (mark.at_ms, [*Point].index(mark.point)))))


def _lost_attempts(job: JobRecord) -> tuple[tuple[int, int], ...]:
    """The attempts that were not the last: start and end."""
    times = job.attempt_times[:-1] if job.state.is_final else job.attempt_times
    return tuple((started_ms, stopped_ms) for started_ms, stopped_ms in times if stopped_ms)


def _phase(begin: Mark, end: Mark) -> Phase:
    if end.point is Point.LOST:
        return Phase(begin=begin, end=end, what="an attempt that came to nothing", usual_s=None)
    if end.point is Point.DONE and begin.point is Point.RUNNING:
        return Phase(begin=begin, end=end, what="the container's own work", usual_s=None)
    first = 0 if begin.point is Point.LOST else _ORDER.index(begin.point)
    # Points that no look saw lie between the two.
    parts = [_WAY[point] for point in _ORDER[first + 1 : _ORDER.index(end.point) + 1]]
    known = [usual_s for _, usual_s in parts if usual_s is not None]
    return Phase(
        begin=begin,
        end=end,
        what="; ".join(what for what, _ in parts),
        usual_s=sum(known) if known and len(known) == len(parts) else None,
    )


def _beyond_s(phase: Phase) -> float:
    return max(phase.seconds - phase.usual_s, 0.0) if phase.usual_s is not None else 0.0
