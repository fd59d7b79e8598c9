"""Deploy: trouble on the way says nothing about the release, which stays, and the next run goes on from there."""

from pathlib import Path

import pytest

from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.job import JobRecord, JobState, Obstacle
from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError, Denied, Inconclusive, Interrupted, RolledBack, TimedOut
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken, Killed
from tests.fakes.jobs import FakeJobs, queue
from tests.fakes.objects import FakeObjects
from tests.fakes.pointers import pointer_at
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def test_creation_that_met_trouble_is_finished_by_the_next_run(world: DeployWorld) -> None:
    world.stack.fail_with = CapctlError("stack-failed", "Pulumi failed", details=("no such host",))
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("stack-failed", 1)
    assert len(world.stack.left_half_made) == 1
    world.deploy()
    assert world.ids == [world.active]


def test_image_that_is_deleted_after_it_was_tagged_is_told_before_the_release_is_made(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = TagImage.verify

    def delete(step: TagImage, result: str) -> None:
        tagged(step, result)
        world.ports.registry.forget(step.image.digest)

    monkeypatch.setattr(TagImage, "verify", delete)
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "image-missing"
    assert (world.ids, len(world.stack.left_half_made)) == ([], 0)


@pytest.mark.parametrize("trouble", [Denied("credentials-expired", "…"), CapctlError("aws-unreachable", "…")])
def test_trouble_while_the_job_runs_leaves_the_release_and_the_next_run_follows_the_job(
    world: DeployWorld, trouble: CapctlError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeJobs, job: JobRecord) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr(FakeJobs, "host", fail)
        with pytest.raises(type(trouble)) as failed:
            world.deploy()
    assert failed.value is trouble
    assert (world.active, len(world.ids), world.jobs.cancelled) == (None, 1, {})
    world.deploy()
    assert world.active == world.ids[0]
    assert len(world.jobs.requests) == 1


def test_result_that_cannot_be_read_says_nothing_about_the_release(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FakeObjects, uri: str) -> None:
        raise CapctlError("aws-unreachable", "S3 did not answer")

    monkeypatch.setattr(FakeObjects, "chunks", fail)
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("aws-unreachable", 1)
    assert len(world.ids) == 1


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


def test_job_that_was_still_starting_says_nothing_about_the_release(world: DeployWorld) -> None:
    world.jobs.course = (JobState.STARTING,)
    with pytest.raises(TimedOut) as failed:
        world.deploy()
    assert failed.value.exit_code == 5
    assert list(world.jobs.cancelled) == ["job-1"]
    assert len(world.ids) == 1


@pytest.mark.parametrize("state", [JobState.RUNNABLE, JobState.STARTING])
def test_job_that_got_its_host_late_has_all_its_time_to_run(world: DeployWorld, state: JobState) -> None:
    world.jobs.course = (*[state] * 110, *[JobState.RUNNING] * 25, JobState.SUCCEEDED)
    world.deploy()
    assert world.active == world.ids[0]
    assert world.ports.clock.monotonic() > 120


def test_job_that_lost_its_host_and_found_no_other_decides_nothing(world: DeployWorld) -> None:
    world.jobs.course = (*[JobState.RUNNING] * 100, JobState.RUNNABLE)
    with pytest.raises(Inconclusive, match="got no host in time") as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("no-capacity", 3)
    assert len(world.ids) == 1


def test_host_that_went_before_it_was_asked_decides_nothing(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(FakeJobs, "host", lambda self, job: None)
        with pytest.raises(Inconclusive, match="`host-ami`") as failed:
            world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("smoke-unseen", 3)
    assert [line.split()[0] for line in failed.value.details if "host-ami" in line] == ["unseen"]
    assert failed.value.evidence["smoke"].job_id == "job-1"
    assert (world.active, len(world.ids)) == (None, 1)
    world.deploy()
    assert (world.active, len(world.jobs.requests)) == (world.ids[0], 2)


def test_interrupt_while_the_release_is_removed_is_no_failed_undo_and_the_next_run_goes_on(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: FakeStack, ids: set[str], *, needed: set[str]) -> None:
        raise Interrupted("interrupted", "The command was interrupted")

    world.jobs.course = (JobState.FAILED,)
    with monkeypatch.context() as patched:
        patched.setattr(FakeStack, "remove_releases", interrupt)
        with pytest.raises(Interrupted, match=f"remove release {wanted_id(world)}") as failed:
            world.deploy()
    assert failed.value.exit_code == 130
    assert len(world.ids) == 1
    with pytest.raises(RolledBack):
        world.deploy()
    assert world.ids == []


def wanted_id(world: DeployWorld) -> str:
    return wanted_release(world.ports, world.target, Wanted()).id


def test_queue_that_never_settles_says_nothing_about_the_release(world: DeployWorld) -> None:
    world.jobs.queues = [queue("CREATING")] * 10_000
    with pytest.raises(TimedOut) as failed:
        world.deploy()
    assert failed.value.code == "release-pending"
    assert world.ports.clock.monotonic() == pytest.approx(600, abs=5)
    assert len(world.ids) == 1


def test_interrupt_cancels_the_job_and_the_next_run_goes_on(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: FakeJobs, job: JobRecord) -> None:
        raise Interrupted("interrupted", "The command was interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(FakeJobs, "host", interrupt)
        with pytest.raises(Interrupted):
            world.deploy()
    assert list(world.jobs.cancelled) == ["job-1"]
    assert (world.active, len(world.ids)) == (None, 1)
    world.deploy()
    assert world.active == world.ids[0]


def test_smoke_job_of_a_killed_run_is_followed_not_repeated(world: DeployWorld) -> None:
    killed = Broken(world.ports, "jobs", at=6, error=Killed())
    with pytest.raises(Killed):
        execute(plan_deploy(killed, world.target, RUN, Wanted()), killed, RUN)
    assert (killed.calls[-1], len(world.jobs.requests)) == ("jobs.get", 1)
    world.ports.deployments.bury()
    world.deploy()
    assert (world.active, len(world.jobs.requests)) == (world.ids[0], 1)


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


def test_creation_is_read_back(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "add_release", lambda self, release, **_: ())
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "release-missing"


def test_nothing_is_made_of_an_ami_that_went_since_the_plan(world: DeployWorld) -> None:
    plan = plan_deploy(world.ports, world.target, RUN, Wanted())
    world.amis.change(world.ami.id, state=AmiState.DEREGISTERED)
    with pytest.raises(CapctlError) as failed:
        execute(plan, world.ports, RUN)
    assert (failed.value.code, failed.value.exit_code) == ("ami-not-verified", 1)
    assert (world.ids, world.stack.left_half_made, world.active) == ([], set(), None)
