"""What a watch asks Batch for at each look, and that no job is missed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from lifecycle.adapters.aws.jobs import BatchJobs
from lifecycle.domain.job import JobState
from lifecycle.domain.tags import Tag
from lifecycle.ports import Ports
from lifecycle.workflows.watched_jobs import WatchedJobs
from tests.fakes.batch_api import BatchApi

MINUTE_MS = 60_000


@dataclass
class _Ports:
    jobs: BatchJobs


@pytest.fixture
def api() -> BatchApi:
    return BatchApi()


@pytest.fixture
def watched(api: BatchApi, tmp_path: Path) -> WatchedJobs:
    ports = cast(Ports, _Ports(jobs=BatchJobs(api.session(tmp_path))))
    return WatchedJobs(ports, "queue", since_ms=1_000)


def states(watched: WatchedJobs) -> dict[str, JobState]:
    return {job.id: job.state for job in watched.look()}


def calls(api: BatchApi, watched: WatchedJobs) -> dict[str, int]:
    """Of one more look."""
    api.calls.clear()
    watched.look()
    return dict(api.calls)


def test_jobs_that_have_ended_cost_nothing_at_the_next_look(api: BatchApi, watched: WatchedJobs) -> None:
    api.add(3_000, "SUCCEEDED")
    api.add(1, "RUNNING", at_ms=5_000 + MINUTE_MS)
    assert calls(api, watched) == {"listjobs": 31, "describejobs": 31}
    assert calls(api, watched) == {"listjobs": 1, "describejobs": 1}
    assert len(watched.look()) == 3_001


def test_job_that_runs_since_long_is_asked_for_until_it_has_ended(api: BatchApi, watched: WatchedJobs) -> None:
    api.add(1, "RUNNING")
    api.add(200, "SUCCEEDED", at_ms=2_000)
    api.add(1, "SUCCEEDED", at_ms=10 * MINUTE_MS)
    assert states(watched)["job-0"] is JobState.RUNNING
    assert calls(api, watched) == {"listjobs": 1, "describejobs": 2}
    api.jobs[0]["status"] = "FAILED"
    assert states(watched)["job-0"] is JobState.FAILED
    assert calls(api, watched) == {"listjobs": 1, "describejobs": 1}


def test_job_that_is_listed_late_is_found(api: BatchApi, watched: WatchedJobs) -> None:
    api.add(1, "SUCCEEDED", at_ms=10 * MINUTE_MS)
    assert [*states(watched)] == ["job-0"]
    api.add(1, "FAILED", at_ms=9 * MINUTE_MS + 1)
    api.jobs.sort(key=lambda job: job["createdAt"])
    assert {*states(watched)} == {"job-0", "job-1"}


def test_jobs_of_before_and_smoke_jobs_are_none_of_them(api: BatchApi, watched: WatchedJobs) -> None:
    tags: dict[str, Any] = {"tags": {Tag.PURPOSE: "smoke"}}
    api.add(1, "FAILED", at_ms=999)
    api.add(1, "FAILED", at_ms=1_000, **tags)
    api.add(1, "FAILED", at_ms=1_000)
    assert states(watched) == {"job-2": JobState.FAILED}
