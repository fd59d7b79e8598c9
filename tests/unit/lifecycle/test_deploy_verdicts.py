"""Deploy: a release that was tried and is good takes the jobs, one that is bad is taken back."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobState, Obstacle, Purpose, QueueState
from lifecycle.domain.job_counts import COUNTED
from lifecycle.errors import CapctlError, PartlyApplied, RolledBack
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_jobs import RestoreJobs
from lifecycle.workflows.remove_releases import RemoveRelease
from lifecycle.workflows.restore_pointer import RestorePointer
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.smoke_baseline import session_beginning
from lifecycle.workflows.status import read_status
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.fakes.batch_compute import HEALTHY, Condition
from tests.fakes.batch_jobs import Attempt
from tests.fakes.deploys import DeployWorld
from tests.fakes.jobs import queue
from tests.fakes.pointers import pointer_at
from tests.fakes.releases import make_release, result_document
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def test_deploy_creates_smokes_and_promotes(world: DeployWorld) -> None:
    world.deploy()
    assert world.ids == [world.active]
    (request,) = world.jobs.requests
    assert request.environment["VIDEO_URL"] == "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4"
    assert f"{request.environment['RESULT_URL']}/result.json" in world.ports.objects.stored


def test_failing_smoke_removes_the_release_and_leaves_the_pointer(world: DeployWorld) -> None:
    world.deploy()
    good = world.active
    world.change_code()
    world.jobs.course = (JobState.RUNNING, JobState.FAILED)
    world.jobs.outcome = {"exit_code": 1, "status_reason": "Essential container in task exited"}
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert failed.value.exit_code == 7
    assert "is FAILED, exit 1; the former" in failed.value.message
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
    assert world.stack.left_half_made == set()
    assert world.ids == []


def test_job_that_left_no_result_takes_the_release_back(world: DeployWorld) -> None:
    world.jobs.leaves = None
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert (failed.value.code, world.ids) == ("result-missing", [])


def test_failed_smoke_carries_its_report(world: DeployWorld) -> None:
    world.jobs.leaves = result_document(tracks=[])
    with pytest.raises(RolledBack, match="`tracks`") as failed:
        world.deploy()
    report = failed.value.evidence["smoke"]
    assert (report.job_id, report.ok) == ("job-1", False)
    assert [check.name for check in report.checks if not check.ok] == ["tracks"]


def test_failed_job_is_carried_too(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"exit_code": 65}
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert (failed.value.evidence["job"].id, failed.value.evidence["job"].exit_code) == ("job-1", 65)


def test_misconfigured_release_fails_without_waiting(world: DeployWorld) -> None:
    world.jobs.course = (JobState.RUNNABLE,)
    world.jobs.outcome = {"obstacle": Obstacle.MISCONFIGURED}
    with pytest.raises(RolledBack):
        world.deploy()
    assert list(world.jobs.cancelled) == ["job-1"]
    assert world.ports.clock.monotonic() < 2


@pytest.mark.parametrize(("looks", "late_s"), [(0, 0), (110, 82)])
def test_job_that_never_ends_is_cancelled_and_taken_back_once_it_ran_for_all_its_time(
    world: DeployWorld, looks: int, late_s: float
) -> None:
    world.jobs.course = (*[JobState.RUNNABLE] * looks, JobState.RUNNING)
    with pytest.raises(RolledBack, match="still RUNNING after 100 s") as failed:
        world.deploy()
    assert failed.value.code == "smoke-timed-out"
    assert list(world.jobs.cancelled) == ["job-1"]
    assert world.ids == []
    assert world.ports.clock.monotonic() == pytest.approx(late_s + 100, abs=6)


def test_attempt_of_a_job_does_not_answer_for_the_time_of_the_one_before(world: DeployWorld) -> None:
    world.jobs.course = (JobState.RUNNING,) * 100
    world.jobs.outcome = {"attempts": 1}
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.ports.clock.monotonic() == pytest.approx(66 + 100, abs=6)


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
    # A smoke job that waits for a host, and the watch, look at the queue again.
    settings = world.target.settings
    world.target = replace(world.target, settings=replace(settings, watch=replace(settings.watch, duration_s=0)))
    world.jobs.course = (JobState.STARTING, JobState.SUCCEEDED)
    world.deploy()
    assert world.active == world.ids[0]
    assert len(world.jobs.queues) == 1


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


def test_release_that_others_promoted_and_left_again_is_not_called_rolled_back(world: DeployWorld) -> None:
    plan, other = plan_deploy(world.ports, world.target, RUN, Wanted()), make_release(99)
    release = wanted_release(world.ports, world.target, Wanted())
    world.pointers.move(pointer_at(release), expected_version=0)
    named = replace(pointer_at(other), version=2, previous_release_id=release.id)
    world.pointers.move(named, expected_version=1)
    world.jobs.course = (JobState.FAILED,)
    with pytest.raises(PartlyApplied, match="is the one before the active one") as failed:
        execute(plan, world.ports, RUN)
    assert failed.value.code == "release-active"
    assert world.ids == [release.id]


def test_release_that_was_left_by_two_rollbacks_and_fails_its_smoke_job_stays(world: DeployWorld) -> None:
    made = world.deploy_three()
    for back in made[1::-1]:
        execute(plan_rollback(world.ports, RUN, to=back), world.ports, RUN)
    assert [release.role for release in read_status(world.ports).releases] == ["active", "previous", ""]
    world.jobs.course = (JobState.FAILED,)
    before = world.ids
    plan = plan_deploy(world.ports, world.target, world.run(), Wanted())
    assert [type(step) for step in plan.undo] == [RestorePointer, RestoreJobs]
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


@pytest.mark.parametrize(("work", "smokes", "may_go"), [(0, 2, True), (1, 2, False), (1, COUNTED, False)])
def test_release_that_others_gave_jobs_stays_though_only_smoke_jobs_are_in_sight(
    world: DeployWorld, work: int, smokes: int, may_go: bool
) -> None:
    world.deploy()
    world.change_code()
    release = wanted_release(world.ports, world.target, Wanted())
    world.stack.add_release(release)
    made = next(one for one in world.stack.releases() if one.id == release.id)
    smoke = replace(
        world.jobs.requests[0],
        name=session_beginning(release.id),
        queue_arn=made.job_queue_arn,
        definition_arn=made.job_definition_arn,
    )
    for request in (*work * [replace(smoke, name="work", purpose=Purpose.WORK)], *smokes * [smoke]):
        world.jobs.submit(request)
    plan = plan_deploy(world.ports, world.target, world.run(), Wanted())
    assert (RemoveRelease in {type(step) for step in plan.undo}) is may_go


def test_release_that_becomes_invalid_while_its_job_waits_for_a_host_is_rolled_back(world: DeployWorld) -> None:
    batch = world.stack.batch
    why = "all EC2 instances were scaled down due to a misconfiguration preventing them from joining the ECS cluster"
    batch.environments_become = (*HEALTHY, Condition(after_s=30.0, state=QueueState.INVALID, reason=why))
    batch.has_capacity = False
    world.jobs.course = (Attempt(),)
    with pytest.raises(RolledBack, match="scaled down") as failed:
        world.deploy()
    assert failed.value.code == "release-invalid"
    assert (world.ids, world.active) == ([], None)
    assert list(world.jobs.cancelled) == ["job-1"]
