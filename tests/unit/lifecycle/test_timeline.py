"""The way of a job: whose word counts, and which part of it was slow."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.domain.job import JobRecord, JobState
from lifecycle.domain.timeline import Point, Seen, Source, timeline
from tests.dev.samples.releases import JOB

BEGIN_MS = 1_000_000
TOLD = {"begun_ms": 1_232_000, "models_ms": 1_233_000, "first_frame_ms": 1_234_000, "done_ms": 1_236_000}
GOOD: dict[str, Any] = {
    "state": JobState.SUCCEEDED,
    "created_ms": BEGIN_MS,
    "started_ms": 1_230_000,
    "stopped_ms": 1_240_000,
    "attempt_times": ((1_230_000, 1_240_000),),
}


def job(**changes: Any) -> JobRecord:
    return replace(JOB, **(GOOD | changes))


def seen(*states: tuple[JobState, float]) -> tuple[Seen, ...]:
    """States with the seconds since submission at which a look saw them."""
    return tuple(Seen(state=state, at_ms=BEGIN_MS + round(1000 * at_s)) for state, at_s in states)


LOOKS = seen((JobState.RUNNABLE, 1), (JobState.STARTING, 215), (JobState.RUNNING, 231), (JobState.SUCCEEDED, 241))


def test_batch_and_the_container_are_exact_and_looks_fill_what_they_leave_out() -> None:
    found = timeline(job(), LOOKS, TOLD)
    assert [(mark.point, (mark.at_ms - BEGIN_MS) / 1000, mark.source) for mark in found.marks] == [
        (Point.SUBMITTED, 0, Source.BATCH),
        (Point.RUNNABLE, 1, Source.SEEN),
        (Point.STARTING, 215, Source.SEEN),
        (Point.RUNNING, 230, Source.BATCH),
        (Point.BEGUN, 232, Source.CONTAINER),
        (Point.MODELS, 233, Source.CONTAINER),
        (Point.FIRST_FRAME, 234, Source.CONTAINER),
        (Point.DONE, 240, Source.BATCH),
    ]
    assert sum(phase.seconds for phase in found.phases) == 240


def test_slowest_phase_is_named_with_what_it_waited_for_and_what_is_usual() -> None:
    slowest = timeline(job(), LOOKS, TOLD).slowest
    assert slowest is not None
    assert slowest.line == "runnable -> starting, 3m34s: waiting for a host (usually up to 4m00s)"


def test_what_is_slower_than_usual_goes_before_what_is_only_long() -> None:
    told = TOLD | {"begun_ms": 1_270_000, "models_ms": 1_271_000, "first_frame_ms": 1_272_000}
    slowest = timeline(job(stopped_ms=1_280_000), LOOKS, told).slowest
    assert slowest is not None
    assert slowest.line == "running -> begun, 40.0s: starting the program (usually up to 15.0s)"


def test_long_analysis_is_slowest_where_nothing_else_is_slow() -> None:
    slowest = timeline(job(stopped_ms=2_240_000), LOOKS, TOLD).slowest
    assert slowest is not None
    assert (slowest.end.point, slowest.usual_s) == (Point.DONE, None)


def test_points_that_no_look_saw_are_part_of_the_phase_around_them() -> None:
    first, *_ = timeline(job(), seen(), TOLD).phases
    assert (first.begin.point, first.end.point) == (Point.SUBMITTED, Point.RUNNING)
    assert first.what == "Batch takes it in; waiting for a host; pulling the image, starting the container"
    assert first.usual_s == 10 + 240 + 90


def test_attempt_that_was_lost_stands_in_the_way() -> None:
    looks = seen((JobState.RUNNABLE, 1), (JobState.STARTING, 50), (JobState.RUNNING, 60), (JobState.RUNNABLE, 101))
    found = timeline(job(attempt_times=((1_060_000, 1_100_000), (1_230_000, 1_240_000))), looks, TOLD)
    assert [str(mark.point) for mark in found.marks][:7] == [
        "submitted", "runnable", "starting", "running", "attempt lost", "runnable", "running",
    ]  # fmt: skip
    lost, again = found.phases[3], found.phases[4]
    assert (lost.what, lost.seconds) == ("an attempt that came to nothing", 40)
    assert (again.what, again.seconds) == ("Batch takes it in", 1)


def test_job_that_waits_again_has_its_old_start_as_that_of_the_lost_attempt() -> None:
    waiting = job(state=JobState.RUNNABLE, started_ms=1_060_000, stopped_ms=0, attempt_times=((1_060_000, 1_100_000),))
    assert [str(mark.point) for mark in timeline(waiting).marks] == ["submitted", "running", "attempt lost"]


@pytest.mark.parametrize("told", [None, [], "soon", {"begun_ms": "soon"}, {}])
def test_container_that_tells_nothing_leaves_its_points_out(told: object) -> None:
    found = timeline(job(), LOOKS, told)
    assert [str(mark.point) for mark in found.marks] == ["submitted", "runnable", "starting", "running", "done"]
    assert found.phases[-1].what == "the container's own work"


def test_container_with_another_clock_stays_within_its_run() -> None:
    found = timeline(job(), LOOKS, {"begun_ms": 1, "models_ms": 2, "first_frame_ms": 9_999_999})
    assert all(phase.seconds >= 0 for phase in found.phases)
    assert [str(mark.point) for mark in found.marks][-5:] == [
        "running",
        "begun",
        "models loaded",
        "first frame",
        "done",
    ]


def test_job_that_has_not_begun_has_no_slow_phase() -> None:
    found = timeline(job(state=JobState.SUBMITTED, started_ms=0, stopped_ms=0, attempt_times=()))
    assert (len(found.marks), found.slowest) == (1, None)
