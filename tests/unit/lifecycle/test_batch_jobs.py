"""Batch's words for a job in ours."""

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from lifecycle.adapters.aws.job_records import job_record
from lifecycle.adapters.aws.jobs import BatchJobs
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.job import JobState, Obstacle, Purpose, QueueState
from lifecycle.ports.jobs import JobRequest
from tests.failures import failure

JOB: dict[str, Any] = {
    "jobId": "1",
    "jobName": "smoke-tests-1",
    "status": "RUNNABLE",
    "jobQueue": "q",
    "jobDefinition": "d",
}


@pytest.mark.parametrize(
    ("reason", "obstacle"),
    [
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", Obstacle.CAPACITY),
        ("Host EC2 (instance i-0abc) terminated.", Obstacle.CAPACITY),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no GPU", Obstacle.MISCONFIGURED),
        (
            "Canceled by JobStateTimeLimit action due to reason: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            Obstacle.MISCONFIGURED,
        ),
        ("Essential container in task exited", None),
        ("", None),
        (None, None),
    ],
)
def test_reason_says_whether_the_fleet_is_in_the_way(reason: str | None, obstacle: Obstacle | None) -> None:
    assert job_record({**JOB, "statusReason": reason}).obstacle is obstacle


@pytest.mark.parametrize(
    ("tags", "purpose"),
    [
        ({"capctl:purpose": "smoke"}, Purpose.SMOKE),
        ({"capctl:purpose": "work"}, Purpose.WORK),
        ({"capctl:purpose": "smokes"}, Purpose.WORK),
        ({}, Purpose.WORK),
        (None, Purpose.WORK),
    ],
)
def test_purpose_is_what_the_tag_says_and_never_the_name(tags: dict[str, str] | None, purpose: Purpose) -> None:
    assert job_record({**JOB, "tags": tags}).purpose is purpose


def test_attempts_tell_when_they_began_and_ended() -> None:
    attempts = [{"startedAt": 1, "stoppedAt": 2}, {"stoppedAt": 3}, {"startedAt": 4}]
    assert job_record(JOB | {"attempts": attempts}).attempt_times == ((1, 2), (0, 3), (4, 0))


class _Batch:
    """An `AwsSession` whose Batch knows one queue, with an environment that it may not know yet."""

    def __init__(self, *environments: str, queue: str = "VALID") -> None:
        self._environments, self._queue = environments, queue

    def client(self, _: str) -> Any:
        return self

    def describe_job_queues(self, **_: Any) -> Any:
        order = [{"computeEnvironment": "ce"}]
        return {"jobQueues": [{"status": self._queue, "state": "ENABLED", "computeEnvironmentOrder": order}]}

    def describe_compute_environments(self, **_: Any) -> Any:
        return {"computeEnvironments": [{"status": status, "state": "DISABLED"} for status in self._environments]}


@pytest.mark.parametrize(
    ("batch", "state"),
    [
        (_Batch(), QueueState.MISSING),
        (_Batch("VALID"), QueueState.VALID),
        (_Batch("MENDING"), QueueState.UNKNOWN),
        (_Batch("INVALID", queue="MENDING"), QueueState.INVALID),
    ],
)
def test_queue_is_as_bad_as_its_environment_and_what_is_not_described_yet_is_no_verdict(
    batch: _Batch, state: QueueState
) -> None:
    found = BatchJobs(cast(AwsSession, batch)).queue_status("q").state
    assert found is state
    assert found.is_settled == (state in {QueueState.VALID, QueueState.INVALID})


def test_queue_without_an_enabled_environment_gives_no_hosts() -> None:
    found = BatchJobs(cast(AwsSession, _Batch("VALID"))).queue_status("q")
    assert (found.is_open, found.gives_hosts) == (True, False)


class _Refusing:
    """An `AwsSession` whose Batch refuses every job in some words."""

    def __init__(self, words: str) -> None:
        self._error = {"Error": {"Code": "ClientException", "Message": words}}

    def client(self, _: str) -> Any:
        return self

    def submit_job(self, **_: Any) -> Any:
        raise ClientError(self._error, "SubmitJob")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Job queue arn:aws:batch:r:1:job-queue/q is not ENABLED", "queue-disabled"),
        ("JobQueue q is not in ENABLED state", "queue-disabled"),
        ("Job queue q is DISABLED", "queue-disabled"),
        ("Job queue q does not exist", "aws-failed"),
    ],
)
def test_job_for_a_closed_queue_is_refused_with_what_enables_it(words: str, code: str) -> None:
    request = JobRequest(name="a", queue_arn="q", definition_arn="d", environment={}, tags={})
    refused = failure(lambda: BatchJobs(cast(AwsSession, _Refusing(words))).submit(request))
    assert refused.code == code
    assert ("capctl drift" in refused.hint) == (code == "queue-disabled")


def test_job_in_a_state_that_batch_has_learnt_since_is_not_final() -> None:
    state = job_record(JOB | {"status": "PAUSED"}).state
    assert (state, state.is_final) == (JobState.UNKNOWN, False)
