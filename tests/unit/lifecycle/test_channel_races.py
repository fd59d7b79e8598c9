"""Somebody moves a channel at the same time: who loses is told, and statuses follow the channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from tests.failures import failure
from tests.fakes.amis import FakeAmis
from tests.fakes.deploys import ami_tags
from tests.fakes.runs import RUN
from tests.unit.lifecycle.channel_parts import STABLE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def refuse() -> None:
    raise CapctlError("aws-denied", "no tags today")


def meanwhile(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Let somebody act right before, or right after, the next write: where SSM cannot compare."""
    write, acts = world.ports.channels.write, [before, after]

    def raced(*arguments: Any, **options: Any) -> int | None:
        first, then = (acts.pop(0), acts.pop(0)) if acts else (lambda: None, lambda: None)
        first()
        version = write(*arguments, **options)
        then()
        return version

    monkeypatch.setattr(world.ports.channels, "write", raced)


def test_channel_that_somebody_moved_since_the_plan_is_left_and_told(world: World) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    world.promote(world.c)
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert moved.code == "channel-moved"
    assert f"tester moved channel `stable` to `{world.c}` at the same time; this run wrote nothing" in moved.message
    assert world.versions() == [world.a, world.c]
    assert world.statuses() == ["superseded", "smoke-passed", "promoted"]


def test_channel_that_was_moved_away_and_back_since_the_plan_is_left_too(world: World) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    world.write(world.c)
    world.write(world.a)
    assert failure(lambda: execute(plan, world.ports, RUN)).code == "channel-moved"
    assert world.versions() == [world.a, world.c, world.a]


def test_who_writes_last_of_two_at_once_is_told_what_was_overwritten_and_statuses_follow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    meanwhile(world, monkeypatch, before=lambda: world.promote(world.c))
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert f"tester moved channel `stable` to `{world.c}` at the same time; this run wrote `{world.b}`" in moved.message
    assert f"it names `{world.b}` now, version 3" in moved.message
    assert (world.named(), world.statuses()) == (world.b, ["superseded", "promoted", "superseded"])


def test_who_was_overwritten_at_once_is_told_too_and_statuses_follow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    meanwhile(world, monkeypatch, after=lambda: world.write(world.c))
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert f"this run wrote `{world.b}`, and it names `{world.c}` now, version 3" in moved.message
    assert world.statuses() == ["superseded", "smoke-passed", "promoted"]


def test_lost_race_is_told_also_where_the_statuses_cannot_be_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    meanwhile(world, monkeypatch, before=lambda: world.write(world.c))
    monkeypatch.setattr(FakeAmis, "tag", lambda *_: refuse())
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert moved.code == "channel-moved"
    assert moved.details == ("statuses of AMIs may not say so yet: no tags today",)


def test_of_two_first_promotions_one_writes_and_the_other_is_told(world: World) -> None:
    plan = world.plan(world.b)
    world.promote(world.a)
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert "this run wrote nothing" in moved.message
    assert (moved.code, world.named()) == ("channel-moved", world.a)


def test_channel_that_was_deleted_since_the_plan_is_told(world: World) -> None:
    world.promote(world.a)
    world.promote(world.b)
    plan = world.plan(world.a)
    world.ports.channels.delete(STABLE)
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert (moved.code, world.named()) == ("channel-moved", None)
    assert "deleted channel `stable` at the same time; this run wrote nothing" in moved.message


def test_somebodys_version_that_is_not_published_yet_is_not_overwritten_in_silence(world: World) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    world.ports.channels.unseen.add(world.c)
    world.write(world.c)
    moved = failure(lambda: execute(plan, world.ports, RUN))
    assert (moved.code, world.named()) == ("channel-moved", world.b)
    assert "that SSM has not published" in moved.message


def test_channel_that_somebody_moves_after_it_was_moved_is_told(world: World) -> None:
    step, _ = world.plan(world.a).steps
    result = step.apply()
    world.write(world.b)
    assert failure(lambda: step.verify(result)).code == "channel-moved"


def test_somebody_who_moved_it_to_the_same_ami_is_no_conflict(world: World) -> None:
    world.promote(world.a)
    plan = world.plan(world.b)
    world.write(world.b)
    execute(plan, world.ports, RUN)
    assert world.named() == world.b


@pytest.mark.parametrize("is_rollback", [False, True])
def test_channel_does_not_take_an_ami_that_it_would_refuse_by_now(world: World, is_rollback: bool) -> None:
    world.promote(world.a)
    if is_rollback:
        world.promote(world.b)
    ami_id = world.a if is_rollback else world.b
    before = world.named()
    plan = world.plan_back() if is_rollback else world.plan(ami_id)
    world.ports.amis.tag(ami_id, {Tag.VERIFIED.value: "failed boot 2026-01-01T00:00:00Z"})
    refused = failure(lambda: execute(plan, world.ports, RUN))
    assert (refused.code, world.named()) == ("ami-not-verified", before)


def test_channel_does_not_take_an_ami_that_was_disabled_since_the_plan(world: World) -> None:
    plan = world.plan(world.a)
    world.ports.amis.disable(world.a)
    assert failure(lambda: execute(plan, world.ports, RUN)).code == "ami-not-verified"
    assert world.named() is None


def test_channel_takes_an_ami_of_which_ec2_tells_the_past_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, get = world.plan(world.a), world.ports.amis.get
    past = [replace(get(world.a), tags=ami_tags("verified"))]
    monkeypatch.setattr(world.ports.amis, "get", lambda ami_id: past.pop() if past else get(ami_id))
    execute(plan, world.ports, RUN)
    assert (world.named(), past) == (world.a, [])
