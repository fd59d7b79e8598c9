"""Deploy: where the pointer is, and which releases exist, after each way it can end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobRecord, JobState, Obstacle, QueueState
from lifecycle.domain.release import Pointer
from lifecycle.errors import (
    CapctlError,
    Denied,
    Inconclusive,
    Interrupted,
    PartlyApplied,
    RolledBack,
    TimedOut,
)
from lifecycle.ports.jobs import QueueStatus
from lifecycle.workflows.deploy import Wanted, plan_deploy, wanted_release
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_pointer import MovePointer
from tests.fakes.deploys import DeployWorld
from tests.fakes.jobs import FakeJobs
from tests.fakes.pointers import pointer_at
from tests.fakes.releases import make_release, result_document
from tests.fakes.results import FakeResults
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def queue(state: str, reason: str = "") -> QueueStatus:
    return QueueStatus(state=QueueState(state), reason=reason)


def test_deploy_creates_smokes_and_promotes(world: DeployWorld) -> None:
    world.deploy()
    assert world.ids == [world.active]
    (request,) = world.jobs.requests
    assert request.environment["VIDEO_URL"] == "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4"
    assert world.results.read == [f"{request.environment['RESULT_URL']}/result.json"]


def test_failing_smoke_removes_the_release_and_leaves_thepointer_at(world: DeployWorld) -> None:
    world.deploy()
    good = world.active
    world.change_code()
    world.jobs.course = (JobState.RUNNING, JobState.FAILED)
    world.jobs.outcome = {"exit_code": 1, "status_reason": "Essential container in task exited"}
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.exit_code == 7
    assert "exit code 1" in failed.value.message
    assert failed.value.details == ("analysis begins", "analysis ends")
    assert (world.active, world.ids) == (good, [good])


def test_wrong_host_ami_fails_the_gate(world: DeployWorld) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    release = wanted_release(world.ports, world.target, Wanted())
    world.jobs.hosts[deployed(release).job_queue_arn] = AmiId("ami-0ffffffffffffffff")
    with pytest.raises(RolledBack, match="`host-ami`"):
        execute(plan, world.ports, RUN)
    assert world.active is None
    assert world.ids == []


def test_failed_creation_leaves_nothing(world: DeployWorld) -> None:
    world.stack.fail_with = CapctlError(
        "stack-failed", "Pulumi failed", details=("InvalidAMIID.NotFound",), verdict=True
    )
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.stack.half_made == set()
    assert world.ids == []


def test_creation_that_met_trouble_is_finished_by_the_next_run(world: DeployWorld) -> None:
    world.stack.fail_with = CapctlError("stack-failed", "Pulumi failed", details=("no such host",))
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("stack-failed", 1)
    assert len(world.stack.half_made) == 1
    world.deploy()
    assert world.ids == [world.active]


@pytest.mark.parametrize("trouble", [Denied("credentials-expired", "…"), CapctlError("aws-unreachable", "…")])
def test_trouble_while_the_job_runs_leaves_the_release_and_the_next_run_follows_the_job(
    world: DeployWorld, trouble: CapctlError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeJobs, job: JobRecord) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(FakeJobs, "host_ami", fail)
        with pytest.raises(type(trouble)) as failed:
            world.deploy()
    assert failed.value is trouble
    assert (world.active, len(world.ids), world.jobs.cancelled) == (None, 1, {})
    world.deploy()
    assert world.active == world.ids[0]
    assert len(world.jobs.requests) == 1


def test_database_that_does_not_answer_says_nothing_about_the_release(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeResults, uri: str) -> None:
        raise CapctlError("database-unreachable", "PostgreSQL did not answer")

    monkeypatch.setattr(FakeResults, "document", fail)
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("database-unreachable", 1)
    assert len(world.ids) == 1


def test_job_that_left_no_result_takes_the_release_back(world: DeployWorld) -> None:
    world.results.left = None
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert (failed.value.code, world.ids) == ("result-missing", [])


def test_failed_smoke_carries_its_report(world: DeployWorld) -> None:
    world.results.left = result_document(tracks=[])
    with pytest.raises(RolledBack, match="`tracks`") as failed:
        world.deploy()
    report = failed.value.evidence["smoke"]
    assert (report["job_id"], report["ok"]) == ("job-1", False)
    assert [check["name"] for check in report["checks"] if not check["ok"]] == ["tracks"]
    json.dumps(report)


def test_failed_job_is_carried_too(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"exit_code": 65}
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert (failed.value.evidence["job"]["id"], failed.value.evidence["job"]["exit_code"]) == ("job-1", 65)
    json.dumps(failed.value.evidence)


def test_want_of_capacity_decides_nothing_and_removes_nothing(world: DeployWorld) -> None:
    world.jobs.course = (JobState.RUNNABLE,)
    world.jobs.outcome = {"obstacle": Obstacle.CAPACITY}
    with pytest.raises(Inconclusive) as failed:
        world.deploy()
    assert failed.value.exit_code == 3
    assert world.active is None
    assert len(world.ids) == 1
    assert list(world.jobs.cancelled) == ["job-1"]
    world.jobs.course, world.jobs.outcome = (JobState.SUCCEEDED,), {}
    world.deploy()
    assert world.active == world.ids[0]


def test_misconfigured_release_fails_without_waiting(world: DeployWorld) -> None:
    world.jobs.course = (JobState.RUNNABLE,)
    world.jobs.outcome = {"obstacle": Obstacle.MISCONFIGURED}
    with pytest.raises(RolledBack):
        world.deploy()
    assert list(world.jobs.cancelled) == ["job-1"]
    assert world.ports.clock.monotonic() < 2


def test_job_that_never_ends_is_cancelled_and_taken_back(world: DeployWorld) -> None:
    world.jobs.course = (JobState.RUNNING,)
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.code == "smoke-timed-out"
    assert list(world.jobs.cancelled) == ["job-1"]
    assert world.ids == []


def test_job_that_was_still_starting_says_nothing_about_the_release(world: DeployWorld) -> None:
    world.jobs.course = (JobState.STARTING,)
    with pytest.raises(TimedOut) as failed:
        world.deploy()
    assert failed.value.exit_code == 5
    assert list(world.jobs.cancelled) == ["job-1"]
    assert len(world.ids) == 1


def test_queue_that_never_settles_says_nothing_about_the_release(world: DeployWorld) -> None:
    world.jobs.queues = [queue("CREATING")] * 10_000
    with pytest.raises(TimedOut) as failed:
        world.deploy()
    assert failed.value.code == "release-pending"
    assert world.ports.clock.monotonic() == pytest.approx(600, abs=5)
    assert len(world.ids) == 1


def test_release_whose_queue_is_gone_is_taken_back(world: DeployWorld) -> None:
    world.jobs.queues = [queue("MISSING")] * 10_000
    with pytest.raises(RolledBack, match="still MISSING after 600 s"):
        world.deploy()
    assert world.ids == []


def test_invalid_queue_fails_the_gate(world: DeployWorld) -> None:
    world.jobs.queues = [queue("CREATING"), queue("INVALID", "AMI cannot be described")]
    with pytest.raises(RolledBack, match="AMI cannot be described"):
        world.deploy()
    assert world.jobs.requests == []
    assert world.ids == []


def test_queue_that_is_valid_for_a_moment_is_not_trusted(world: DeployWorld) -> None:
    flapping = [queue("VALID"), queue("UPDATING"), queue("VALID"), queue("VALID")]
    world.jobs.queues = [*flapping, queue("INVALID", "no instance could be launched")]
    with pytest.raises(RolledBack, match="no instance could be launched"):
        world.deploy()
    assert world.jobs.requests == []


def test_queue_that_settles_after_some_flapping_is_used(world: DeployWorld) -> None:
    world.jobs.queues = [queue(state) for state in ("VALID", "UPDATING", "VALID", "VALID", "VALID", "INVALID")]
    world.deploy()
    assert world.active == world.ids[0]
    assert len(world.jobs.queues) == 1


def test_interrupt_cancels_the_job_and_the_next_run_goes_on(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: FakeJobs, job: JobRecord) -> None:
        raise Interrupted("interrupted", "The command was interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(FakeJobs, "host_ami", interrupt)
        with pytest.raises(Interrupted):
            world.deploy()
    assert list(world.jobs.cancelled) == ["job-1"]
    assert (world.active, len(world.ids)) == (None, 1)
    world.deploy()
    assert world.active == world.ids[0]


def test_smoke_job_of_a_killed_run_is_followed_not_repeated(world: DeployWorld) -> None:
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    step = next(step for step in plan.steps if step.describe().startswith("smoke"))
    step.apply()
    world.jobs._jobs["job-1"] = replace(world.jobs._jobs["job-1"], state=JobState.RUNNING)
    world.jobs._left["job-1"] = [JobState.SUCCEEDED]
    execute(plan, world.ports, RUN)
    assert len(world.jobs.requests) == 1


def test_two_operators_the_second_promotion_loses(world: DeployWorld) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    other = make_release(99)
    world.stack.add_release(other)
    world.pointers.move(pointer_at(other), expected_version=0)
    with pytest.raises(CapctlError) as failed:
        execute(plan, world.ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("pointer-moved", 1)
    assert world.active == other.id
    assert len(world.ids) == 2


def test_release_that_another_run_made_meanwhile_survives_a_rollback(world: DeployWorld) -> None:
    plan, other = plan_deploy(world.ports, world.target, RUN, Wanted()), make_release(99)
    world.stack.add_release(other)
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(RolledBack):
        execute(plan, world.ports, RUN)
    assert world.ids == [other.id]


def test_nothing_is_called_rolled_back_while_the_pointer_names_the_release(world: DeployWorld) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    # Another run promotes the same release while this one's smoke job fails.
    world.pointers.move(pointer_at(wanted_release(world.ports, world.target, Wanted())), expected_version=0)
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(PartlyApplied, match="which takes jobs") as failed:
        execute(plan, world.ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("release-active", 6)
    assert "capctl rollback" in failed.value.hint
    assert "job" in failed.value.evidence
    assert world.ids == [world.active]


def test_pointer_that_was_moved_and_not_read_back_stays_moved(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: MovePointer, _: Pointer) -> None:
        raise CapctlError("aws-unreachable", "DynamoDB did not answer")

    monkeypatch.setattr(MovePointer, "verify", fail)
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("aws-unreachable", 1)
    assert world.ids == [world.active]


def test_older_release_that_fails_its_smoke_job_stays(world: DeployWorld) -> None:
    for _ in range(3):
        world.deploy(image=str(world.images.pushed_code().ref))
        world.change_code()
    kept = replace(world.stack.releases()[0].release, image=world.images.pushed_code().ref)
    world.stack._releases = {kept.id: deployed(kept)} | world.stack._releases
    world.jobs.course = (JobState.FAILED,)
    before = world.ids
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    assert plan.undo == ()
    with pytest.raises(CapctlError) as failed:
        execute(plan, world.ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("smoke-failed", 1)
    assert world.ids == before


def test_release_that_a_killed_run_left_is_removed_when_it_fails(world: DeployWorld) -> None:
    world.deploy()
    good = world.active
    world.change_code()
    world.stack.add_release(wanted_release(world.ports, world.target, Wanted()))
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.ids == [good]


def test_creation_is_read_back(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "add_release", lambda self, release: ())
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "release-missing"
