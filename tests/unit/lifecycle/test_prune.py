"""Which releases a deploy prunes, once it is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.job import JobState
from lifecycle.domain.release import left_ids, surplus_once_active, surplus_releases
from lifecycle.errors import CapctlError
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.remove_releases import PruneReleases
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.wanted_release import Wanted
from tests.fakes.deploys import DeployWorld
from tests.fakes.pointers import pointer_at
from tests.fakes.releases import make_release
from tests.fakes.stack import FakeStack, deployed


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def test_prune_that_did_not_prune_is_said(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStack, "remove_releases", lambda self, ids, **_: self.releases())
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert any("still exist after they were removed" in line for line in world.ports.ui.lines)
    assert world.active == world.ids[-1]


def test_old_releases_are_pruned_but_never_active_or_previous(world: DeployWorld) -> None:
    seen = []
    for _ in range(4):
        world.deploy()
        seen.append(world.active)
        world.change_code()
    assert world.ids == seen[-2:]


def test_prune_keeps_a_release_with_unfinished_jobs(world: DeployWorld) -> None:
    world.deploy()
    first = world.stack.releases()[0]
    world.change_code()
    world.deploy()
    world.jobs.course = ()
    world.jobs.submit(replace(world.jobs.requests[0], name="late", queue_arn=first.job_queue_arn))
    world.jobs.course = (JobState.SUCCEEDED,)
    world.change_code()
    world.deploy()
    assert first.id in world.ids
    outcome = [entry.outcome for entry in world.ports.journal.entries() if entry.step.startswith("drain and prune")][-1]
    assert outcome == f"nothing to prune; kept {first.id}, it has unfinished jobs"


def foreseen(world: DeployWorld) -> str:
    return plan_deploy(world.ports, world.target, world.run(), Wanted()).after[-1].describe()


def test_plan_names_what_its_prune_will_take(world: DeployWorld) -> None:
    told = []
    for _ in range(4):
        told.append(foreseen(world))
        before = world.ids
        world.deploy()
        gone = set(before) - set(world.ids)
        assert all(id_ in told[-1] for id_ in gone)
        world.change_code()
    assert told[:2] == ["drain and prune releases beyond 2: none"] * 2
    why = ", neither active then nor the one before; one with unfinished jobs stays"
    assert told[3] == f"drain and prune releases beyond 2: {before[0]}{why}"


def test_plan_tells_how_the_prune_chooses_where_only_the_past_of_the_pointer_decides(world: DeployWorld) -> None:
    first, second, bad = world.deploy_three()
    run = world.run()
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    world.change_code()
    chosen = (
        f"1 of {first}, {bad} (those rolled back from first, then the oldest), neither active then nor the one before"
    )
    assert chosen in foreseen(world)
    assert second not in foreseen(world)
    world.deploy()
    assert bad not in world.ids


@pytest.mark.parametrize("keep", [1, 2, 3, 4, 10])
@pytest.mark.parametrize(("active", "previous"), [(4, 3), (1, 4), (3, 1)])
@pytest.mark.parametrize("deployed_again", [0, 2])
def test_what_is_foreseen_is_what_goes(keep: int, active: int, previous: int, deployed_again: int) -> None:
    releases = {number: deployed(make_release(number)) for number in (1, 2, 3, 4, 5)}
    there = tuple(releases[number] for number in (1, 2, 3, 4))
    wanted = releases[deployed_again or 5]
    pointer = replace(pointer_at(make_release(active)), previous_release_id=releases[previous].id)
    found = surplus_once_active(wanted.id, there, pointer, keep=keep)
    moved = replace(pointer, release_id=wanted.id, previous_release_id=pointer.release_id)
    gone = surplus_releases(there if deployed_again else (*there, wanted), moved, keep=keep)
    assert found.count == len(gone)
    assert found.among[: found.count] == tuple(one.id for one in gone)


def test_failing_prune_keeps_the_promotion(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeStack, ids: object, **_: object) -> None:
        raise CapctlError("stack-failed", "Pulumi failed")

    monkeypatch.setattr(FakeStack, "remove_releases", fail)
    for _ in range(3):
        done = world.deploy()
        world.change_code()
    assert world.active == world.ids[-1]
    assert len(world.ids) == 3
    assert [(type(step), failure.code) for step, failure in done.failures] == [(PruneReleases, "stack-failed")]
    assert world.ports.ui.lines[-1].startswith("warning: What was done stands")


@pytest.mark.parametrize(
    ("keep", "active", "previous", "surplus"),
    [
        (2, 4, 3, [1, 2]),
        (3, 4, 3, [1]),
        (1, 4, 3, [1, 2]),
        (2, 1, 4, [2, 3]),
        (10, 4, 3, []),
    ],
)
def test_surplus_counts_from_the_oldest(keep: int, active: int, previous: int, surplus: list[int]) -> None:
    releases = {number: make_release(number) for number in (1, 2, 3, 4)}
    pointer = replace(pointer_at(releases[active]), previous_release_id=releases[previous].id)
    found = surplus_releases(tuple(deployed(release) for release in releases.values()), pointer, keep=keep)
    assert [release.id for release in found] == [releases[number].id for number in surplus]


def test_release_that_was_rolled_back_from_goes_before_an_older_good_one(world: DeployWorld) -> None:
    first, second, bad = world.deploy_three()
    run = world.run()
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    assert world.active == second
    world.change_code()
    world.deploy()
    assert world.ids == [first, second, world.active]
    assert bad not in world.ids


def test_release_that_was_left_and_deployed_again_counts_as_any_other(world: DeployWorld) -> None:
    first, _, third = world.deploy_three()
    for to in (None, third):
        run = world.run()
        execute(plan_rollback(world.ports, run, to=to), world.ports, run)
    past = world.pointers.past(range(1, 6))
    assert third not in left_ids(past)
    assert left_ids(reversed(past)) == left_ids(past)
    assert first not in left_ids(past)
