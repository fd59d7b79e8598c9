"""Promote and roll back a channel; every trouble on the way is made right by the same command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId, AmiState, AmiStatus, Tag
from lifecycle.domain.channel import CANDIDATE, Channel, Note
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, ExitCode, Inconclusive, UsageError
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lookups import ami_of
from lifecycle.workflows.promote_ami import plan_channel_rollback, plan_promote
from tests.fakes.amis import FakeAmis
from tests.fakes.deploys import ami_tags
from tests.fakes.faults import Broken
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

STABLE, BETA = Channel("stable"), Channel("beta")


class World:
    """Three AMIs `a`, `b`, `c` of the project, on which smoke jobs have passed."""

    def __init__(self, folder: Path) -> None:
        self.target = make_target(folder)
        self.ports = FakePorts()
        self.a, self.b, self.c = (self.add(name, "smoke-passed") for name in "abc")

    def add(self, name: str, status: str) -> AmiId:
        return self.ports.amis.add(name, tags=ami_tags(status)).id

    def plan(self, ami: str, channel: Channel = STABLE, *, ports: Any = None) -> Plan:
        return plan_promote(ports or self.ports, self.target, RUN, ami=ami, channel=channel)

    def promote(self, ami: str, channel: Channel = STABLE, *, ports: Any = None) -> None:
        execute(self.plan(ami, channel, ports=ports), ports or self.ports, RUN)

    def roll_back(self, channel: Channel = STABLE, *, ports: Any = None) -> None:
        ports = ports or self.ports
        execute(plan_channel_rollback(ports, self.target, RUN, channel=channel), ports, RUN)

    def named(self, channel: Channel = STABLE) -> AmiId | None:
        entry = self.ports.channels.read(channel)
        return entry.ami_id if entry else None

    def versions(self, channel: Channel = STABLE) -> list[AmiId]:
        return [entry.ami_id for entry in reversed(self.ports.channels.history(channel))]

    def status(self, ami_id: AmiId) -> str:
        return str(self.ports.amis.get(ami_id).status)

    def statuses(self) -> list[str]:
        return [self.status(ami_id) for ami_id in (self.a, self.b, self.c)]

    def write(self, ami_id: AmiId, channel: Channel = STABLE, *, by: str = "bob") -> None:
        """What somebody else does."""
        self.ports.channels.write(channel, ami_id, Note(by=by), is_first=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def failure(act: Callable[[], object]) -> CapctlError:
    with pytest.raises(CapctlError) as failed:
        act()
    return failed.value


def refuse() -> None:
    raise CapctlError("aws-denied", "no tags today")


def test_promoted_ami_is_named_and_tagged_and_the_one_before_superseded(world: World) -> None:
    world.promote(world.a)
    world.promote(world.b)
    assert world.named() == world.b
    assert world.statuses() == ["superseded", "promoted", "smoke-passed"]
    (now, before) = world.ports.channels.history(STABLE)
    assert (now.note, before.ami_id) == (Note(by="tester"), world.a)


def test_ami_that_another_channel_names_stays_promoted(world: World) -> None:
    world.promote(world.a)
    world.promote(world.a, BETA)
    world.promote(world.b)
    assert world.statuses() == ["promoted", "promoted", "smoke-passed"]
    world.promote("stable", BETA)
    assert world.statuses() == ["superseded", "promoted", "smoke-passed"]


def test_candidate_takes_a_verified_ami_and_promotes_none(world: World) -> None:
    verified = world.add("d", "verified")
    world.promote(world.a)
    world.promote(verified, CANDIDATE)
    world.promote(world.a, CANDIDATE)
    assert (world.status(verified), world.statuses()) == ("verified", ["promoted", "smoke-passed", "smoke-passed"])


def test_promotion_of_what_the_channel_names_does_nothing(world: World) -> None:
    world.promote(world.a)
    plan = world.plan("stable")
    assert plan.steps == ()
    assert "channel stable names AMI" in plan.because


def test_superseded_ami_is_promoted_again(world: World) -> None:
    for ami_id in (world.a, world.b, world.a):
        world.promote(ami_id)
    assert world.statuses() == ["promoted", "superseded", "smoke-passed"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("verified", "ami-not-smoked"), ("disabled", "ami-not-verified"), ("quarantined", "ami-status-unknown")],
)
def test_ami_that_has_not_come_far_enough_is_refused(world: World, status: str, code: str) -> None:
    ami_id = world.add("d", status)
    assert failure(lambda: world.plan(ami_id)).code == code
    assert world.named() is None


def test_ami_of_another_project_is_refused(world: World) -> None:
    other = world.ports.amis.add("other", tags={**ami_tags("smoke-passed"), Tag.PROJECT: "other"})
    assert failure(lambda: world.plan(other.id)).code == "ami-missing"


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


def test_status_that_does_not_read_back_fails_the_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, settling = world.plan(world.a).steps
    world.write(world.a)
    monkeypatch.setattr(FakeAmis, "tag", lambda *_: None)
    assert failure(lambda: settling.verify(settling.apply())).code == "tags-not-set"


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
    assert isinstance(asked, UsageError)
    assert (asked.code, world.named()) == ("rollback-unclear", world.b)
    assert f"`capctl ami promote {world.c} --to stable`" in asked.hint
    world.promote(world.a)
    assert world.statuses() == ["promoted", "superseded", "superseded"]


def test_rollback_without_anything_before_is_refused(world: World) -> None:
    assert failure(world.roll_back).code == "channel-missing"
    world.promote(world.a)
    assert failure(world.roll_back).code == "previous-missing"


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


def test_version_is_waited_for(world: World) -> None:
    world.ports.channels.lag = 3
    world.promote(world.a)
    assert world.named() == world.a
    assert world.ports.clock.slept


def test_version_that_aws_never_publishes_is_timed_out_with_the_likely_cause(world: World) -> None:
    world.ports.channels.unseen.add(world.a)
    error = failure(lambda: world.promote(world.a))
    assert (error.code, error.exit_code) == ("channel-pending", ExitCode.TIMED_OUT)
    assert "`ec2:DescribeImages`" in error.hint
    assert 120 <= world.ports.clock.monotonic() < 130
    assert world.status(world.a) == "smoke-passed"


@pytest.mark.parametrize("done", range(3))
def test_promotion_that_was_killed_after_any_step_is_finished_by_the_same_command(world: World, done: int) -> None:
    world.promote(world.a)
    for step in world.plan(world.b).steps[:done]:
        step.apply()
    world.promote(world.b)
    assert (world.named(), world.versions()) == (world.b, [world.a, world.b])
    assert world.statuses() == ["superseded", "promoted", "smoke-passed"]


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


def calls_of(act: Callable[[World, Any], None], folder: Path) -> int:
    world = prepared(folder)
    broken = Broken(world.ports, "amis", "channels")
    act(world, broken)
    assert {"amis.tag", "channels.write"} <= set(broken.calls)
    return len(broken.calls)


def prepared(folder: Path) -> World:
    world = World(folder)
    world.promote(world.a)
    world.promote(world.b)
    return world


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize(
    ("act", "named", "statuses"),
    [
        (lambda world, ports: world.promote(world.c, ports=ports), 2, ["superseded", "superseded", "promoted"]),
        (lambda world, ports: world.roll_back(ports=ports), 0, ["promoted", "superseded", "smoke-passed"]),
    ],
    ids=["promote", "rollback"],
)
def test_any_call_that_fails_once_is_made_right_by_the_same_command(
    act: Callable[[World, Any], None], named: int, statuses: list[str], is_lost: bool, tmp_path: Path
) -> None:
    for at in range(calls_of(act, tmp_path)):
        world = prepared(tmp_path)
        with pytest.raises(Inconclusive):
            act(world, Broken(world.ports, "amis", "channels", at=at, is_lost=is_lost))
        try:
            act(world, world.ports)
        except UsageError as already:
            assert already.code == "rollback-unclear"  # noqa: PT017 - the first run had done it all but read it back
        assert (world.named(), world.statuses()) == ((world.a, world.b, world.c)[named], statuses)


def test_name_of_a_channel_means_its_ami_everywhere(world: World) -> None:
    world.promote(world.a)
    assert ami_of(world.ports, "stable") == ami_of(world.ports, world.a) == world.a
    assert failure(lambda: ami_of(world.ports, "beta")).code == "channel-missing"
    assert failure(lambda: ami_of(world.ports, "Stable")).code == "ami-id-invalid"


def test_status_that_a_killed_run_left_is_settled_by_any_later_promotion(world: World) -> None:
    world.ports.amis.tag(world.c, {Tag.STATUS.value: AmiStatus.PROMOTED.value})
    world.promote(world.a)
    assert world.statuses() == ["promoted", "smoke-passed", "superseded"]
