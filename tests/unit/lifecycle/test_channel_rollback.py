"""Roll back a channel: to which AMI, and when the user is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.ami_status import AmiState
from lifecycle.errors import ExitCode
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_channel_rollback
from tests.failures import failure
from tests.fakes.runs import RUN
from tests.unit.lifecycle.channel_parts import STABLE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_rollback_goes_to_the_ami_before_and_tags_both(world: World) -> None:
    world.promote(world.a)
    world.promote(world.b)
    world.roll_back()
    assert world.named() == world.a
    assert world.statuses() == ["promoted", "superseded", "smoke-passed"]


def test_rollback_beside_a_status_that_somebody_left_unsettled_does_both(world: World) -> None:
    for ami_id in (world.a, world.b, world.c):
        world.promote(ami_id)
    world.roll_back()
    world.ports.amis.change(world.c, state=AmiState.DISABLED)
    stray = world.add("d", "promoted")
    world.roll_back()
    assert (world.named(), world.status(stray)) == (world.a, "superseded")
    assert world.statuses()[:2] == ["promoted", "superseded"]


def test_rollback_that_was_killed_is_finished_and_goes_no_further_back(world: World) -> None:
    for ami_id in (world.a, world.b, world.c):
        world.promote(ami_id)
    world.ports.amis.change(world.c, state=AmiState.DISABLED)
    move, _ = plan_channel_rollback(world.ports, world.target, RUN, channel=STABLE).steps
    move.apply()
    plan = plan_channel_rollback(world.ports, world.target, RUN, channel=STABLE)
    assert plan.title == f"finish the rollback to {world.b} on channel stable"
    execute(plan, world.ports, RUN)
    assert (world.named(), world.statuses()) == (world.b, ["superseded", "promoted", "superseded"])


def test_rollback_passes_over_amis_that_are_gone_or_withdrawn(world: World) -> None:
    fourth = world.add("d", "smoke-passed")
    for ami_id in (world.a, world.b, world.c, fourth):
        world.promote(ami_id)
    world.ports.amis.deregister(world.c)
    world.ports.amis.change(world.b, state=AmiState.DISABLED)
    world.roll_back()
    assert world.named() == world.a


def test_second_rollback_asks_for_the_ami(world: World) -> None:
    for ami_id in (world.a, world.b, world.c):
        world.promote(ami_id)
    world.roll_back()
    asked = failure(world.roll_back)
    assert asked.exit_code == ExitCode.FAILED
    assert (asked.code, world.named()) == ("rollback-unclear", world.b)
    assert f"`capctl ami promote {world.c} --to stable`" in asked.hint
    world.promote(world.a)
    assert world.statuses() == ["promoted", "superseded", "superseded"]


def test_rollback_without_anything_before_is_refused(world: World) -> None:
    assert failure(world.roll_back).code == "channel-missing"
    world.promote(world.a)
    assert failure(world.roll_back).code == "previous-missing"


@pytest.mark.parametrize("done", range(2))
def test_rollback_that_was_killed_after_any_step_is_finished_by_the_same_command(world: World, done: int) -> None:
    world.promote(world.a)
    world.promote(world.b)
    for step in plan_channel_rollback(world.ports, world.target, RUN, channel=STABLE).steps[:done]:
        step.apply()
    world.roll_back()
    assert (world.named(), world.versions()) == (world.a, [world.a, world.b, world.a])
    assert world.statuses() == ["promoted", "superseded", "smoke-passed"]
    assert failure(world.roll_back).code == "rollback-unclear"
