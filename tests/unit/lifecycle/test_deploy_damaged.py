"""Deploy: a release that the pointer needs and that lacks a part is mended or left as it is, never removed."""

from pathlib import Path

import pytest

from lifecycle.domain.job import JobState, Obstacle
from lifecycle.errors import CapctlError, Inconclusive
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.remove_releases import PruneReleases, RemoveRelease
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.fakes.deploys import DeployWorld
from tests.fakes.stack import PARTS


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    """Two releases were deployed; the second one takes jobs."""
    world = DeployWorld(tmp_path)
    world.deploy()
    world.change_code()
    world.deploy()
    return world


@pytest.mark.parametrize(("place", "role"), [(1, "takes jobs"), (0, "took jobs before")])
def test_nothing_is_deployed_beside_a_damaged_release_that_the_pointer_needs(
    world: DeployWorld, place: int, role: str
) -> None:
    damaged, pointer = world.ids[place], world.pointers.read()
    world.stack.damage(damaged)
    world.change_code()
    with pytest.raises(CapctlError, match=f"`{damaged}` {role} and lacks a part") as failed:
        world.deploy()
    assert failed.value.code == "release-damaged"
    assert "finishes it" in failed.value.hint
    assert world.stack.half_made() == {damaged}
    assert world.pointers.read() == pointer


def test_active_release_that_is_gone_altogether_is_said_and_the_one_before_it_is_not_missed(world: DeployWorld) -> None:
    before, active = world.ids
    world.change_code()
    world.stack.remove_releases({before})
    world.deploy()
    world.stack.remove_releases({active, *world.ids})
    world.change_code()
    with pytest.raises(CapctlError, match="takes jobs and is missing") as failed:
        world.deploy()
    assert failed.value.code == "release-damaged"


def test_same_pair_mends_the_active_release_and_keeps_the_one_before_it(world: DeployWorld) -> None:
    before, active = world.ids
    world.stack.damage(active)
    world.deploy()
    assert (world.active, set(world.ids)) == (active, {before, active})
    assert world.stack.half_made() == frozenset()
    pointer = world.pointers.read()
    assert pointer
    assert (pointer.version, pointer.previous_release_id) == (3, before)
    assert pointer.job_definition_arn == world.stack.releases()[-1].job_definition_arn


def test_mended_release_that_fails_its_smoke_job_is_not_removed(world: DeployWorld) -> None:
    active = world.ids[1]
    world.stack.damage(active)
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"exit_code": 1}
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.exit_code == 1
    assert active in world.ids


def test_mending_never_replaces_what_is_left(world: DeployWorld) -> None:
    active = world.ids[1]
    world.stack.damage(active)
    world.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type=PARTS[0], name=f"vision-{active}", release_id=active),
    )
    with pytest.raises(CapctlError) as failed:
        world.deploy()
    assert failed.value.code == "release-would-change"


def test_release_that_is_damaged_once_the_plan_is_made_stays_as_it_is(world: DeployWorld) -> None:
    """By the engine's refresh of the very update, say: the preview could not know."""
    before, active = world.ids
    world.stack.damage(active)
    RemoveRelease(ports=world.ports, release_id="0123456789ab").apply()
    PruneReleases(ports=world.ports, keep=0).apply()
    assert world.stack.half_made() == {active}
    assert world.ids == [before]


def test_damaged_release_outlives_a_deploy_that_proves_nothing(world: DeployWorld) -> None:
    """The active one is mended while the one before it lacks a part too."""
    before, active = world.ids
    world.stack.damage(active)
    world.stack.damage(before)
    world.jobs.course, world.jobs.outcome = (JobState.RUNNABLE,), {"obstacle": Obstacle.CAPACITY}
    with pytest.raises(Inconclusive):
        world.deploy()
    assert world.ids == [active]
    assert world.stack.half_made() == {before}


def test_release_whose_queue_went_in_a_removal_that_got_no_answer_is_made_whole(world: DeployWorld) -> None:
    """The state goes on to list the queue."""
    world.change_code()
    world.stack.add_release(wanted_release(world.ports, world.target, Wanted()))
    gone = world.stack.releases()[-1]
    world.jobs.batch.delete_queue(gone.job_queue_arn)
    assert [one.id for one in world.stack.releases()][-1] == gone.id
    world.deploy()
    assert world.active == gone.id
    assert world.jobs.batch.has_queue(gone.job_queue_arn)
