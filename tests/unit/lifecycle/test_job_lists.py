"""What it costs to list jobs of a queue that has had thousands, and that none is missed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.aws.jobs import BatchJobs
from lifecycle.domain.job import UNFINISHED, JobState
from lifecycle.domain.job_counts import JobCounts
from tests.fakes.batch_api import BatchApi

_NOW_MS = 5_000_000


@pytest.fixture
def api() -> BatchApi:
    """A queue that has had a thousand jobs."""
    made = BatchApi()
    made.add(900, "SUCCEEDED")
    made.add(100, "FAILED")
    return made


@pytest.fixture
def jobs(api: BatchApi, tmp_path: Path) -> BatchJobs:
    return BatchJobs(api.session(tmp_path))


@pytest.mark.parametrize(
    ("asked", "calls"),
    [
        ({"since_ms": _NOW_MS}, {"listjobs": 1, "describejobs": 1}),
        ({"since_ms": _NOW_MS, "states": UNFINISHED}, {"listjobs": 1, "describejobs": 1}),
        ({"named": "smoke-"}, {"listjobs": 1, "describejobs": 1}),
        ({"states": UNFINISHED}, {"listjobs": 6, "describejobs": 1}),
        ({"states": {JobState.RUNNABLE}}, {"listjobs": 1, "describejobs": 1}),
        # All of them: a call for each state, and what there is to describe.
        ({}, {"listjobs": 8, "describejobs": 11}),
    ],
)
def test_old_jobs_cost_nothing_where_nobody_wants_them(
    api: BatchApi, jobs: BatchJobs, asked: dict[str, Any], calls: dict[str, int]
) -> None:
    api.add(1, "RUNNABLE", name="smoke-1", at_ms=_NOW_MS)
    found = jobs.list("queue", **asked)
    assert found[0].name == "smoke-1"
    assert len(found) == (1 if asked else 1001)
    assert api.calls == calls


def test_no_job_is_described_where_none_is_wanted(api: BatchApi, jobs: BatchJobs) -> None:
    assert jobs.list("queue", states=UNFINISHED) == ()
    assert jobs.list("queue", since_ms=_NOW_MS) == ()
    assert api.calls["describejobs"] == 0


def test_job_of_the_very_moment_is_listed_and_names_are_what_they_are(api: BatchApi, jobs: BatchJobs) -> None:
    api.add(2, "RUNNING", name="SMOKE-1", at_ms=_NOW_MS)
    assert [job.created_ms for job in jobs.list("queue", since_ms=_NOW_MS)] == [_NOW_MS + 1, _NOW_MS]
    assert [job.created_ms for job in jobs.list("queue", since_ms=_NOW_MS + 1)] == [_NOW_MS + 1]
    assert jobs.list("queue", named="smoke-") == ()
    assert len(jobs.list("queue", since_ms=_NOW_MS, named="SMOKE-", states={JobState.RUNNING})) == 2


# Jobs go forwards; back to RUNNABLE goes one whose attempt failed.
_WAYS: list[tuple[JobState, JobState]] = [
    (JobState.STARTING, JobState.RUNNABLE),
    (JobState.RUNNING, JobState.RUNNABLE),
    *((begins, becomes) for number, begins in enumerate(UNFINISHED) for becomes in UNFINISHED[number + 1 :]),
]


@pytest.mark.parametrize("listed", range(1, 6))
@pytest.mark.parametrize(("begins", "becomes"), _WAYS)
def test_unfinished_job_is_found_whichever_way_it_goes_meanwhile(
    api: BatchApi, jobs: BatchJobs, begins: JobState, becomes: JobState, listed: int
) -> None:
    api.add(1, begins)

    def go_on() -> None:
        api.jobs[-1]["status"] = becomes

    api.meanwhile = {listed: go_on}
    assert [job.state for job in jobs.list("queue", states=UNFINISHED)] == [becomes]


def test_job_that_ended_meanwhile_is_not_told_as_unfinished(api: BatchApi, jobs: BatchJobs) -> None:
    api.add(1, "RUNNING")
    api.meanwhile = {6: lambda: api.jobs[-1].update(status="SUCCEEDED")}
    assert jobs.list("queue", states=UNFINISHED) == ()


def test_more_jobs_than_fit_into_a_page_are_all_listed(api: BatchApi, jobs: BatchJobs) -> None:
    api.add(250, "RUNNING", at_ms=_NOW_MS)
    assert len(jobs.list("queue", since_ms=_NOW_MS)) == 250
    assert api.calls == {"listjobs": 3, "describejobs": 3}


@pytest.mark.parametrize("definition", ["definition:1", ""])
def test_one_call_counts_the_newest_hundred_of_any_number(api: BatchApi, jobs: BatchJobs, definition: str) -> None:
    api.add(4_000, "SUCCEEDED", at_ms=_NOW_MS)
    api.add(20, "RUNNABLE", at_ms=2 * _NOW_MS)
    api.add(1, "NEWER_THAN_THIS", at_ms=2 * _NOW_MS)
    api.add(30, "RUNNING", at_ms=2 * _NOW_MS, jobDefinition="other:1")
    counted = jobs.count("queue", definition)
    running = 0 if definition else 30
    assert counted == JobCounts(waiting=21, running=running, succeeded=79 - running, is_complete=False)
    assert counted.total == 100
    assert api.calls == Counter({"listjobs": 1})


def test_hundred_jobs_are_all_there_are(tmp_path: Path) -> None:
    api = BatchApi()
    api.add(100, "SUCCEEDED")
    assert BatchJobs(api.session(tmp_path)).count("queue") == JobCounts(succeeded=100)
