"""The double of Batch: what jobs, queues and environments go through as time passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from lifecycle.domain.job import JobHost, JobRecord, JobState, Obstacle, QueueState
from lifecycle.domain.job_account import job_account
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest
from tests.failures import failure
from tests.fakes.batch_compute import Condition
from tests.fakes.batch_jobs import Attempt
from tests.fakes.batch_retries import CANNOT_PULL, OUT_OF_MEMORY, RECLAIMED, exited
from tests.fakes.jobs import FakeJobs
from tests.fakes.objects import FakeObjects
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS, FakeStack

SETTLING = (Condition(after_s=30),)
SPOILT = Condition(after_s=90, state=QueueState.INVALID, reason="all EC2 instances were scaled down")


@dataclass
class Account:
    """One release, and what its jobs do."""

    release: Release = field(default_factory=make_release)

    def __post_init__(self) -> None:
        self.stack = FakeStack()
        self.batch = self.stack.batch
        self.jobs = FakeJobs(self.stack, FakeObjects(OUTPUTS.bucket))
        (self.deployed,) = self.stack.add_release(self.release)
        self.host = JobHost(ami_id=self.release.ami_id, instance_type=self.release.parameters.instance_types[0])

    def submit(self, *attempts: Attempt, session: str = "s", timeout_s: int | None = None) -> str:
        self.jobs.course = attempts or (Attempt(),)
        return self.jobs.submit(request(self.deployed, session=session, timeout_s=timeout_s))

    def wait(self, seconds: float) -> None:
        self.batch.clock.sleep(seconds)

    def after(self, seconds: float, job_id: str) -> JobRecord:
        self.wait(seconds)
        return self.jobs.get(job_id)

    def states(self, job_id: str, *, steps: int, each_s: float = 1.0) -> list[JobState]:
        seen = [self.jobs.get(job_id).state]
        return seen + [self.after(each_s, job_id).state for _ in range(steps)]


def request(deployed: DeployedRelease, *, session: str = "s", timeout_s: int | None = None) -> JobRequest:
    return JobRequest(
        name=session,
        queue_arn=deployed.job_queue_arn,
        definition_arn=deployed.job_definition_arn,
        environment={"SESSION_ID": session, "RESULT_URL": f"s3://{OUTPUTS.bucket}/results/{session}"},
        tags={},
        timeout_s=timeout_s,
    )


@pytest.fixture
def account() -> Account:
    return Account()


def test_job_goes_through_its_states_as_time_passes_and_leaves_its_result(account: Account) -> None:
    job_id = account.submit(Attempt(waits_s=10, starts_s=10, runs_s=20))
    states = [JobState.RUNNABLE, JobState.STARTING, JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED]
    assert account.states(job_id, steps=4, each_s=10) == states
    job = account.jobs.get(job_id)
    assert (job.exit_code, job.stopped_ms - job.created_ms, job.stopped_ms - job.started_ms) == (0, 40_000, 20_000)
    assert [line.message for line in account.jobs.logs(job).lines] == ["analysis begins", "analysis ends"]
    assert list(account.batch.objects.stored) == [f"s3://{OUTPUTS.bucket}/results/s/result.json"]


@pytest.mark.parametrize(
    ("attempt", "attempts", "exit_code", "why"),
    [
        (Attempt(end=exited(0)), 1, 0, ""),
        (Attempt(end=exited(65)), 1, 65, "unreadable input"),
        (Attempt(end=exited(75)), 4, 75, "interrupted"),
        (Attempt(end=OUT_OF_MEMORY), 1, 137, "it needed more memory than it may have"),
        (Attempt(end=CANNOT_PULL), 4, None, "its host could not pull the image"),
        (Attempt(end=RECLAIMED), 4, None, "AWS took its host away"),
        (Attempt(runs_s=math.inf), 1, 137, "what times out is not tried again"),
    ],
)
def test_job_is_tried_as_often_as_the_rules_of_its_release_say(
    account: Account, attempt: Attempt, attempts: int, exit_code: int | None, why: str
) -> None:
    job = account.after(10_000, account.submit(attempt))
    assert (job.state.is_final, job.attempts, job.exit_code) == (True, attempts, exit_code)
    assert why in job_account(job, QueueState.VALID, now_ms=0).why
    assert len(job.attempt_reasons) == attempts


def test_job_that_lost_its_host_goes_on_at_another_one(account: Account) -> None:
    job_id = account.submit(Attempt(runs_s=100))
    before = account.after(10, job_id)
    assert account.jobs.host(before) == account.host
    account.batch.reclaim(job_id)
    assert account.jobs.host(before) is None
    assert account.jobs.get(job_id).state is JobState.RUNNABLE
    again = account.after(10, job_id)
    assert (again.state, again.attempts) == (JobState.RUNNING, 1)
    assert again.cluster_instance_arn != before.cluster_instance_arn
    assert again.attempt_reasons[0].startswith("Host EC2 (instance i-")
    assert account.after(100, job_id).state is JobState.SUCCEEDED
    assert account.batch.finished == {"s": 1}


def test_job_that_loses_every_host_has_failed_for_want_of_capacity(account: Account) -> None:
    job = account.after(100, account.submit(Attempt(end=RECLAIMED)))
    assert (job.state, job.obstacle) == (JobState.FAILED, Obstacle.CAPACITY)


def test_host_outlives_its_job_for_a_while(account: Account) -> None:
    job = account.after(10, account.submit())
    assert account.jobs.host(job) == account.host
    assert account.jobs.host(account.after(account.batch.idle_s, job.id)) is None


def test_request_shortens_the_time_of_an_attempt(account: Account) -> None:
    job = account.after(62, account.submit(Attempt(runs_s=math.inf), timeout_s=60))
    assert (job.status_reason, job.attempts) == ("Job attempt duration exceeded timeout", 1)


@pytest.mark.parametrize(
    ("release", "reason"),
    [
        (make_release(vcpus=64), "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"),
        (make_release(gpus=4), "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
        (make_release(memory_mib=64_000), "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
    ],
)
def test_job_that_no_host_can_take_says_so_and_waits(release: Release, reason: str) -> None:
    account = Account(release)
    job = account.after(1_000, account.submit())
    assert (job.state, job.obstacle) == (JobState.RUNNABLE, Obstacle.MISCONFIGURED)
    assert job.status_reason.startswith(reason)


def test_job_waits_for_capacity_and_goes_on_once_it_is_there(account: Account) -> None:
    account.batch.has_capacity = False
    job = account.after(1_000, account.submit())
    assert (job.state, job.obstacle) == (JobState.RUNNABLE, Obstacle.CAPACITY)
    assert job.status_reason.startswith("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    account.batch.has_capacity = True
    assert account.after(0, job.id).state is JobState.STARTING
    assert account.after(2, job.id).state is JobState.SUCCEEDED


def test_jobs_wait_for_each_other_s_vcpus() -> None:
    account = Account(make_release(vcpus=4, max_vcpus=8))
    ids = [account.submit(Attempt(runs_s=98)) for _ in range(3)]
    account.wait(50)
    assert [account.jobs.get(job_id).state for job_id in ids] == [JobState.RUNNING] * 2 + [JobState.RUNNABLE]
    account.wait(60)
    states = [account.jobs.get(job_id).state for job_id in ids]
    assert states[:2] == [JobState.SUCCEEDED] * 2
    assert not states[2].needs_host


@pytest.mark.parametrize("passed_s", [0, 5, 15, 25, 35])
def test_job_is_ended_wherever_it_is(account: Account, passed_s: float) -> None:
    job_id = account.submit(Attempt(waits_s=10, starts_s=10, runs_s=10))
    before = account.after(passed_s, job_id)
    account.jobs.cancel(job_id, reason="enough")
    job = account.jobs.get(job_id)
    if before.state is JobState.SUCCEEDED:
        assert job == before
        return
    assert (job.state, job.is_ending, job.status_reason) == (JobState.FAILED, True, "enough")
    assert job.exit_code == (137 if before.state is JobState.RUNNING else None)
    assert account.after(1_000, job_id) == job
    assert account.batch.finished == {}


def test_container_that_is_told_to_end_may_take_its_time(account: Account) -> None:
    account.batch.stops_s = 30
    job_id = account.submit(Attempt(runs_s=100))
    account.wait(10)
    account.jobs.cancel(job_id, reason="enough")
    job = account.jobs.get(job_id)
    assert (job.state, job.is_ending) == (JobState.RUNNING, True)
    assert account.after(30, job_id).state is JobState.FAILED


def test_environment_is_waited_for_and_may_be_invalid_later() -> None:
    stack, release = FakeStack(), make_release()
    jobs = FakeJobs(stack, FakeObjects(OUTPUTS.bucket))
    stack.batch.environments_become = (*SETTLING, SPOILT)
    (deployed,) = stack.add_release(release)
    assert stack.batch.clock.monotonic() == SETTLING[0].after_s
    assert jobs.queue_status(deployed.job_queue_arn).state is QueueState.VALID
    stack.batch.clock.sleep(60)
    status = jobs.queue_status(deployed.job_queue_arn)
    assert (status.state, status.reason) == (QueueState.INVALID, SPOILT.reason)
    jobs.course = (Attempt(),)
    job_id = jobs.submit(request(deployed))
    stack.batch.clock.sleep(1_000)
    assert jobs.get(job_id).state is JobState.RUNNABLE


def test_queue_is_not_attached_to_an_environment_that_is_invalid() -> None:
    stack, release = FakeStack(), make_release()
    stack.batch.environments_become = (replace(SPOILT, after_s=10),)
    refused = failure(lambda: stack.add_release(release))
    assert (refused.code, refused.is_verdict, SPOILT.reason in refused.details[0]) == ("stack-failed", True, True)
    assert (set(stack.half_made()), len(stack.batch.queues)) == ({release.id}, 0)
    assert stack.remove_releases({release.id}) == ()
    assert stack.batch.environments == {}


def test_environment_outlives_its_queue_while_their_relation_lingers(account: Account) -> None:
    account.batch.lingers_s = 30
    refused = failure(lambda: account.stack.remove_releases({account.release.id}))
    assert (refused.code, refused.is_verdict) == ("stack-failed", False)
    assert "found existing JobQueue relationship" in refused.details[0]
    assert account.stack.half_made() == {account.release.id}
    account.wait(30)
    assert account.stack.remove_releases(set()) == ()
    assert (account.stack.half_made(), account.batch.environment_names()) == (frozenset(), frozenset())


def test_account_has_room_for_fifty_environments(account: Account) -> None:
    account.batch.foreign_environments = 49
    refused = failure(lambda: account.stack.add_release(make_release(2)))
    assert (refused.code, refused.is_verdict) == ("stack-failed", True)
    account.batch.foreign_environments = 48
    assert len(account.stack.add_release(make_release(2))) == 2


def test_revisions_count_on_and_what_is_not_active_runs_no_job(account: Account) -> None:
    gone = account.deployed.job_definition_arn
    account.stack.damage(account.release.id)
    with pytest.raises(CapctlError, match="is not ACTIVE"):
        account.submit()
    (mended,) = account.stack.add_release(account.release)
    assert (gone.rpartition(":")[2], mended.job_definition_arn.rpartition(":")[2]) == ("1", "2")


def test_jobs_of_a_queue_that_is_deleted_are_ended(account: Account) -> None:
    running, waiting = account.submit(Attempt(runs_s=100)), account.submit(Attempt(waits_s=100))
    account.wait(10)
    account.stack.remove_releases({account.release.id})
    assert {account.jobs.get(job_id).state for job_id in (running, waiting)} == {JobState.FAILED}
    assert account.jobs.queue_status(account.deployed.job_queue_arn).state is QueueState.MISSING
    with pytest.raises(CapctlError, match="does not exist"):
        account.submit()
