"""What the pipeline measures of itself, counted where it arises; how it leaves the process is for `emf` and `exposition`.

Numbers are cut into laps, one per segment and one for what a job did since its last segment, so that a rate says how it is and
not how it was on average. The time between jobs belongs to no lap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from analyzer.readings import VALUES_MAX, Metric, Reading, gauge


@dataclass(slots=True)
class _Work:
    """What one model or stage did: overlapping calls count once as time, so that a share of time is at most 1."""

    running: int = 0
    since_s: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    busy_s: float = 0.0
    lap_busy_s: float = 0.0
    lap_items: int = 0

    def cut(self, now_s: float) -> None:
        if self.running:
            self.busy_s += now_s - self.since_s
            self.lap_busy_s += now_s - self.since_s
            self.since_s = self.last_s = now_s


@dataclass(slots=True)
class _Lap:
    begin_s: float
    frames: int = 0
    errors: int = 0
    segments: int = 0
    batched: int = 0
    room: int = 0
    queued_bytes: dict[str, int] = field(default_factory=dict)
    captions_s: list[float] = field(default_factory=list)
    cold_s: dict[str, float] = field(default_factory=dict)


class Metrics:
    """Any thread may count; `on_lap` receives each lap's readings in the thread that ends it."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_lap: Callable[[Sequence[Reading]], None] = lambda _: None,
    ) -> None:
        self._clock, self._on_lap = clock, on_lap
        self._turn = Lock()
        self._works: dict[str, _Work] = {}
        self._models: set[str] = set()
        self._totals: dict[Metric, tuple[float, int]] = {}
        self._gpu_free: int | None = None
        self._lap = _Lap(clock())
        # Counters are there from the start, so that their first increase is seen.
        counters = (Metric.SEGMENTS_COMMITTED, Metric.DECODE_ERRORS)
        self._last = {(name, ""): Reading(name=name, values=(0.0,)) for name in counters}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The stage works from entering to leaving the block."""
        self._enter(name)
        try:
            yield
        finally:
            self._leave(name, 0)

    @contextmanager
    def model(self, name: str, pictures: int) -> Iterator[None]:
        """A model is asked about so many pictures; the same as a stage of that name."""
        self._models.add(name)
        self._enter(name)
        try:
            yield
        finally:
            self._leave(name, pictures)

    @contextmanager
    def caption(self) -> Iterator[None]:
        """The caption model describes one picture."""
        begin_s = self._clock()
        with self.model("captioner", 1):
            yield
        with self._turn:
            self._lap.captions_s.append(self._clock() - begin_s)

    def batch(self, pictures: int, room: int) -> None:
        """A batch goes to the detector that could have held `room`."""
        with self._turn:
            self._lap.batched += pictures
            self._lap.room += room

    def queued(self, stage: str, waiting_bytes: int) -> None:
        """So much waits before or in `stage`; the most of a lap counts."""
        with self._turn:
            self._lap.queued_bytes[stage] = max(waiting_bytes, self._lap.queued_bytes.get(stage, 0))

    def decoded(self, frames: int, errors: int) -> None:
        with self._turn:
            self._lap.frames += frames
            self._lap.errors += errors

    def committed(self) -> None:
        with self._turn:
            self._lap.segments += 1

    def gpu_free(self, free_bytes: int | None) -> None:
        self._gpu_free = free_bytes

    def cold_start(self, phase: str, seconds: float) -> None:
        """What came before the first frame took so long: `models`, `fetch` or `first_frame`."""
        with self._turn:
            self._lap.cold_s[phase] = seconds

    def busy_ratio(self, stage: str) -> float:
        """The share of time, from a stage's first work to its last, in which it worked; 0 before."""
        with self._turn:
            work = self._works.get(stage)
            if work is None or work.last_s <= work.first_s:
                return 0.0
            return work.busy_s / (work.last_s - work.first_s)

    def begin(self) -> None:
        """Work begins: the time before it belongs to no lap. What was counted meanwhile, a cold start, stays."""
        with self._turn:
            self._lap.begin_s = now_s = self._clock()
            for work in self._works.values():
                work.cut(now_s)
                work.lap_busy_s, work.lap_items = 0.0, 0

    def end(self) -> None:
        """Work ends: what was counted since the last lap is one more. Where that is nothing, the last lap's rates stand."""
        with self._turn:
            counted = self._lap != _Lap(self._lap.begin_s)
        if counted:
            self.lap()

    def lap(self) -> None:
        """End a lap: compute its readings and hand them on."""
        with self._turn:
            now_s = self._clock()
            readings = self._readings(now_s)
            self._last.update({(each.name, each.label): each for each in readings})
            self._lap = _Lap(now_s)
        self._on_lap(readings)

    def readings(self) -> list[Reading]:
        """The newest reading of each metric and label."""
        with self._turn:
            return list(self._last.values())

    def _enter(self, name: str) -> None:
        with self._turn:
            work = self._works.setdefault(name, _Work())
            now_s = self._clock()
            if not work.first_s:
                work.first_s = now_s
            if not work.running:
                work.since_s = now_s
            work.running += 1

    def _leave(self, name: str, items: int) -> None:
        with self._turn:
            work = self._works[name]
            work.lap_items += items
            if work.running == 1:
                work.cut(self._clock())
            work.running -= 1

    def _readings(self, now_s: float) -> list[Reading]:
        lap, wall_s = self._lap, max(now_s - self._lap.begin_s, 1e-9)
        found = [
            self._counted(Metric.SEGMENTS_COMMITTED, lap.segments),
            self._counted(Metric.DECODE_ERRORS, lap.errors),
        ]
        if lap.frames:
            found.append(gauge(Metric.DECODE_FPS, lap.frames / wall_s))
        if lap.room:
            found.append(gauge(Metric.BATCH_FILL_RATIO, lap.batched / lap.room))
        if self._gpu_free is not None:
            found.append(gauge(Metric.GPU_MEM_FREE, self._gpu_free))
        found += self._captions(lap.captions_s)
        found += _labelled(Metric.QUEUE_BYTES, lap.queued_bytes)
        found += _labelled(Metric.COLD_START_SECONDS, lap.cold_s)
        for name, work in self._works.items():
            work.cut(now_s)
            found.append(gauge(Metric.STAGE_BUSY_RATIO, work.lap_busy_s / wall_s, name))
            if name in self._models and work.lap_items and work.lap_busy_s:
                found.append(gauge(Metric.INFER_FPS, work.lap_items / work.lap_busy_s, name))
            work.lap_busy_s, work.lap_items = 0.0, 0
        return found

    def _counted(self, name: Metric, value: float) -> Reading:
        total, count = self._totals.get(name, (0.0, 0))
        self._totals[name] = total + value, count + 1
        return Reading(name=name, values=(value,), total=total + value, count=count + 1)

    def _captions(self, taken_s: Sequence[float]) -> list[Reading]:
        if not taken_s:
            return []
        total, count = self._totals.get(Metric.CAPTION_SECONDS, (0.0, 0))
        total, count = total + sum(taken_s), count + len(taken_s)
        self._totals[Metric.CAPTION_SECONDS] = total, count
        values = tuple(taken_s[-VALUES_MAX:])
        return [Reading(name=Metric.CAPTION_SECONDS, values=values, total=total, count=count)]


def _labelled(name: Metric, values: Mapping[str, float]) -> list[Reading]:
    return [gauge(name, value, label) for label, value in values.items()]
