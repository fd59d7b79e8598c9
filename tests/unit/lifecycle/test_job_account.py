"""What is said of a job, by what Batch says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.domain.job import JobState, QueueState
from lifecycle.domain.job_account import JobAccount, job_account
from tests.dev.samples.releases import JOB

MINUTE = 60_000


def account(state: str, *, queue: str = "VALID", minutes: int = 1, **fields: Any) -> JobAccount:
    job = replace(
        JOB, **{"state": JobState(state), "exit_code": None, "status_reason": "", "reason": "", "attempts": 0, **fields}
    )
    return job_account(job, QueueState(queue), now_ms=job.created_ms + minutes * MINUTE)


@pytest.mark.parametrize("state", list(JobState))
def test_each_state_has_words(state: JobState) -> None:
    assert account(state).where


@pytest.mark.parametrize(
    ("reason", "why", "what"),
    [
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x", "fewer vCPUs", "release.max_vcpus"),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x", "no instance type", "release.instance_types"),
        ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - x", "may not start hosts", "AWSServiceRoleForBatch"),
        ("MISCONFIGURATION:SOMETHING_NEW - x", "can never give it a host", "deploy again"),
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x", "goes on trying", "release.spot: false"),
    ],
)
def test_job_that_gets_no_host_is_told_why_and_what_to_do(reason: str, why: str, what: str) -> None:
    told = account("RUNNABLE", status_reason=reason, minutes=120)
    assert told.where == "it waits for a host"
    assert why in told.why
    assert what in told.next


def test_wait_without_a_reason_is_a_matter_of_time_and_of_the_queue() -> None:
    assert account("RUNNABLE", minutes=14) == JobAccount(
        where="it waits for a host", why="which takes some minutes where none is up"
    )
    long = account("RUNNABLE", minutes=15)
    assert long.where == "it waits for a host, for 15 minutes"
    assert "never join" in long.why
    assert "EC2" in long.next
    assert account("RUNNABLE", queue="INVALID", minutes=15).why == "its queue is INVALID, so that it gets none"


@pytest.mark.parametrize(
    ("fields", "why", "what"),
    [
        ({"status_reason": "Host EC2 (instance i-1) terminated."}, "AWS took its host away", "Submit it again"),
        ({"reason": "CannotPullContainerError: no"}, "could not pull", "capctl image verify"),
        ({"reason": "OutOfMemoryError: killed", "exit_code": 137}, "more memory", "release.memory_mib"),
        ({"status_reason": "Job attempt duration exceeded timeout"}, "took longer", "release.timeout_s"),
        ({"exit_code": 137}, "SIGKILL", "capctl job logs"),
        ({"exit_code": 65}, "unreadable input", "capctl job logs"),
        ({"status_reason": "wrong video", "is_ending": True}, "it was ended: wrong video", ""),
    ],
)
def test_failed_job_is_told_why_and_what_to_do(fields: dict[str, Any], why: str, what: str) -> None:
    told = account("FAILED", **fields)
    assert why in told.why
    assert what in told.next


def test_earlier_attempts_count_where_the_last_says_nothing() -> None:
    told = account("RUNNABLE", attempts=1, attempt_reasons=("Host EC2 (instance i-1) terminated.",))
    assert told.where == "it waits for a host, after 1 failed attempt"
    assert "AWS took its host away" in told.why
    assert account("FAILED", attempts=3, exit_code=69).where == "it has failed, after 3 attempts"


def test_job_that_is_being_ended_needs_no_reason() -> None:
    assert account("RUNNING", is_ending=True) == JobAccount(where="it runs, and is being ended")


def test_wait_on_what_is_disabled_says_whether_it_ends_and_what_enables_it() -> None:
    waiting = replace(JOB, state=JobState.RUNNABLE, exit_code=None, status_reason="", reason="", attempts=0)

    def told(**switched: bool) -> JobAccount:
        return job_account(waiting, QueueState.VALID, now_ms=waiting.created_ms, **switched)

    for account_ in (told(gives_hosts=False), told(gives_hosts=False, is_open=False)):
        assert account_.where == "it waits for a host"
        assert "compute environment of its queue is DISABLED, so that it gets none" in account_.why
        assert "`capctl drift`" in account_.next
        assert "`capctl job move`" in account_.next
    closed = told(is_open=False)
    assert "takes no new jobs, and those that it has, as this one, get hosts" in closed.why
    assert "`capctl drift`" in closed.next
