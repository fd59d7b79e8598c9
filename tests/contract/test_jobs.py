"""What every `ports.Jobs` does, on a queue whose jobs write a line and end with a given exit code."""

import math
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lifecycle.adapters.aws.jobs import BatchJobs
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import UNFINISHED, JobHost, JobRecord, JobState, Purpose, QueueState
from lifecycle.domain.job_counts import JobCounts
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest, Jobs, LogPage, Submission
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.fakes.batch_jobs import Attempt
from tests.fakes.jobs import FakeJobs
from tests.fakes.objects import FakeObjects
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.rehearsal.emulator_parts import INSTANCE_TYPE, Batch
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws, tiny_tar, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue, and a definition for jobs that end with an exit code; `wait` is how time passes between two looks.

    While `hold` is told to, jobs wait for a host.
    """

    jobs: Jobs
    queue_arn: str
    definition: Callable[[int], str]
    host: JobHost
    wait: Callable[[], None]
    hold: Callable[[bool], None]

    def request(self, *, exit_code: int = 0, name: str = "", purpose: Purpose = Purpose.WORK) -> JobRequest:
        return JobRequest(
            name=name or f"job-{uuid.uuid4().hex[:8]}",
            purpose=purpose,
            queue_arn=self.queue_arn,
            definition_arn=self.definition(exit_code),
            environment={"WORD": "analysis"},
            tags={"capctl:run": "test"},
        )

    def submit(self, *, exit_code: int = 0, name: str = "", purpose: Purpose = Purpose.WORK) -> str:
        return self.jobs.submit(self.request(exit_code=exit_code, name=name, purpose=purpose))

    def ended(self, job_id: str) -> JobRecord:
        for _ in range(600):
            job = self.jobs.get(job_id)
            if job.state.is_final:
                return job
            self.wait()
        raise AssertionError(f"{job_id} did not end")


@pytest.fixture(scope="module", params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def queue(request: pytest.FixtureRequest) -> Iterator[Queue]:
    if request.param == "fake":
        yield _in_memory()
    else:
        yield from _emulated(request.getfixturevalue("emulator"), request)


def _in_memory() -> Queue:
    stack, release = FakeStack(), make_release()
    (deployed,) = stack.add_release(release)
    jobs = FakeJobs(stack, FakeObjects(OUTPUTS.bucket))

    is_held = False

    def hold(is_on: bool) -> None:
        nonlocal is_held
        is_held = is_on

    def definition(exit_code: int) -> str:
        if is_held:
            jobs.course = (Attempt(waits_s=math.inf),)
            return deployed.job_definition_arn
        jobs.course = (JobState.RUNNABLE, JobState.RUNNING, JobState.FAILED if exit_code else JobState.SUCCEEDED)
        jobs.outcome = {"exit_code": exit_code}
        return deployed.job_definition_arn

    return Queue(
        jobs=jobs,
        queue_arn=deployed.job_queue_arn,
        definition=definition,
        host=JobHost(ami_id=release.ami_id, instance_type=release.parameters.instance_types[0]),
        wait=lambda: stack.batch.clock.sleep(0.05),
        hold=hold,
    )


def _emulated(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[Queue]:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    engine = docker.from_env()
    repository, _, tag = TINY_IMAGE.partition(":")
    engine.api.import_image_from_data(tiny_tar(), repository=repository, tag=tag)
    ami_id = emulator.facts["base_ami"]
    batch = Batch(Aws(emulator.endpoint), ami_id, name=f"jobs-{uuid.uuid4().hex[:8]}").open_queue()
    (found,) = batch.aws.batch.describe_job_queues(jobQueues=[batch.name])["jobQueues"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        from tests.fakes.targets import make_target

        folder = request.getfixturevalue("tmp_path_factory").mktemp("jobs")
        yield Queue(
            jobs=BatchJobs(AwsSession(make_target(folder, endpoint_url=emulator.endpoint))),
            queue_arn=found["jobQueueArn"],
            definition=lambda exit_code: batch.define(f'echo "$WORD begins"; exit {exit_code}'),
            host=JobHost(ami_id=AmiId(ami_id), instance_type=INSTANCE_TYPE),
            wait=lambda: time.sleep(0.05),
            hold=lambda is_on: switch(batch, "DISABLED" if is_on else "ENABLED"),
        )
    batch.close()
    engine.images.remove(TINY_IMAGE, force=True)
    engine.close()


def switch(batch: Batch, state: str) -> None:
    batch.aws.batch.update_compute_environment(computeEnvironment=batch.name, state=state)
    until(lambda: batch.describe()["status"] == "VALID")


def test_job_succeeds_with_exit_code_0_on_the_host_of_the_queue(queue: Queue) -> None:
    job = queue.ended(queue.submit())
    assert (job.state, job.exit_code) == (JobState.SUCCEEDED, 0)
    assert job.queue_arn == queue.queue_arn
    assert job.image
    assert job.stopped_ms >= job.created_ms > 0
    assert queue.jobs.host(job) == queue.host


def test_failed_job_keeps_its_exit_code(queue: Queue) -> None:
    job = queue.ended(queue.submit(exit_code=65))
    assert (job.state, job.exit_code) == (JobState.FAILED, 65)


def test_environment_of_the_request_reaches_the_job_and_its_log(queue: Queue) -> None:
    job = queue.ended(queue.submit())
    page = queue.jobs.logs(job)
    assert page.lines[0].message == "analysis begins"
    assert queue.jobs.logs(job, after=page.end) == LogPage(end=page.end)


def test_submitted_jobs_are_listed_newest_first(queue: Queue) -> None:
    first = queue.submit()
    queue.ended(first)
    second = queue.submit()
    queue.ended(second)
    listed = [job.id for job in queue.jobs.list(queue.queue_arn)]
    assert listed[:2] == [second, first]


def test_listed_are_the_jobs_that_are_asked_for(queue: Queue) -> None:
    ended = queue.ended(queue.submit(name="first-of-two"))
    queue.wait()
    failed = queue.ended(queue.submit(name="second-of-two", exit_code=1))
    assert failed.created_ms > ended.created_ms

    def listed(**asked: Any) -> set[str]:
        return {job.id for job in queue.jobs.list(queue.queue_arn, **asked)} & {ended.id, failed.id}

    assert listed(since_ms=ended.created_ms) == {ended.id, failed.id}
    assert listed(since_ms=failed.created_ms) == {failed.id}
    assert listed(since_ms=failed.created_ms + 1) == set()
    assert listed(named="first-") == {ended.id}
    assert listed(named="FIRST-") == listed(named="of-two") == set()
    assert listed(states={JobState.FAILED}) == {failed.id}
    assert listed(states=UNFINISHED) == set()
    assert listed(states={JobState.FAILED}, named="first-") == set()
    assert listed(states={JobState.SUCCEEDED}, since_ms=ended.created_ms) == {ended.id}


def test_unknown_job_is_named(queue: Queue) -> None:
    with pytest.raises(CapctlError, match="nowhere") as failed:
        queue.jobs.get("nowhere")
    assert failed.value.code == "job-missing"


def test_job_that_waits_is_withdrawn_and_found_by_the_reason(queue: Queue) -> None:
    queue.hold(True)
    job_id = queue.submit()
    queue.jobs.withdraw(job_id, reason="because of the test")
    job = queue.ended(job_id)
    queue.hold(False)
    assert (job.state, job.status_reason, job.is_ending) == (JobState.FAILED, "because of the test", True)
    assert job.stopped_ms >= job.created_ms
    assert [one.id for one in queue.jobs.list(queue.queue_arn, states={JobState.FAILED}, reason="because of")] == [
        job_id
    ]
    assert queue.jobs.list(queue.queue_arn, reason="of the test") == ()


def test_job_that_has_ended_is_not_withdrawn(queue: Queue) -> None:
    job = queue.ended(queue.submit())
    queue.jobs.withdraw(job.id, reason="too late")
    assert queue.jobs.get(job.id) == job


def test_jobs_are_found_together_and_unknown_ones_left_out(queue: Queue) -> None:
    ids = [queue.submit(), queue.submit()]
    for job_id in ids:
        queue.ended(job_id)
    assert {job.id for job in queue.jobs.find([*ids, "00000000-0000-0000-0000-000000000000"])} == {*ids}
    assert queue.jobs.find([]) == ()


def test_job_tells_what_it_was_submitted_with_and_what_its_definition_says_is_left_out(queue: Queue) -> None:
    request = replace(queue.request(), timeout_s=600, tags={"capctl:replaces": "another", "customer": "ada"})
    job = queue.ended(queue.jobs.submit(request))
    (found,) = queue.jobs.submissions([job.id])
    assert found == Submission(job=job, request=request)
    assert job.replaces == "another"
    again = queue.ended(queue.jobs.submit(found.request))
    assert queue.jobs.submissions([again.id])[0].request == request
    assert queue.jobs.submissions([]) == ()


def test_cancelled_job_has_failed(queue: Queue) -> None:
    job_id = queue.submit()
    queue.jobs.cancel(job_id, reason="the test says so")
    job = queue.ended(job_id)
    assert (job.state, job.is_ending) == (JobState.FAILED, True)
    assert not queue.ended(queue.submit(exit_code=1)).is_ending


def test_name_and_reason_may_be_of_any_length(queue: Queue) -> None:
    job_id = queue.submit(name=f"shop-a.b:{'x' * 200}")
    queue.jobs.cancel(job_id, reason="because " * 100)
    job = queue.ended(job_id)
    assert job.name == f"shop-a-b-{'x' * 200}"[:128]
    assert job.status_reason == ("because " * 100)[:256]


@pytest.mark.parametrize("purpose", Purpose)
def test_job_keeps_the_purpose_of_its_request(queue: Queue, purpose: Purpose) -> None:
    job_id = queue.submit(purpose=purpose)
    assert queue.ended(job_id).purpose is purpose
    assert queue.jobs.list(queue.queue_arn)[0].purpose is purpose


def test_queue_is_valid_and_a_missing_one_is_named(queue: Queue) -> None:
    assert queue.jobs.queue_status(queue.queue_arn).state is QueueState.VALID
    missing = queue.jobs.queue_status(f"{queue.queue_arn}-x")
    assert missing.state is QueueState.MISSING
    assert missing.reason == f"job queue `{queue.queue_arn}-x` does not exist"


def test_compute_environments_of_the_account_are_named(queue: Queue) -> None:
    assert queue.queue_arn.rpartition("/")[2] in queue.jobs.compute_environments()


def test_jobs_of_a_definition_are_counted_whatever_became_of_them(queue: Queue) -> None:
    for exit_code in (0, 1):
        job = queue.ended(queue.submit(exit_code=exit_code))
        listed = [one for one in queue.jobs.list(queue.queue_arn) if one.definition_arn == job.definition_arn]
        states = [one.state for one in listed]
        assert queue.jobs.count(queue.queue_arn, job.definition_arn) == JobCounts(
            succeeded=states.count(JobState.SUCCEEDED), failed=states.count(JobState.FAILED)
        )
        assert queue.jobs.count(queue.queue_arn, f"{job.definition_arn}1") == JobCounts()
    everything = queue.jobs.list(queue.queue_arn)
    assert queue.jobs.count(queue.queue_arn).total == len(everything)
