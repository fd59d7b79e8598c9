"""Rollback: to which release, and what it changes."""

from dataclasses import replace

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.rollback import plan_rollback
from tests.failures import failure
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, promote, rollback, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def test_rollback_goes_to_the_previous_release(ports: FakePorts) -> None:
    assert rollback(ports) == OLD.id
    assert active_pointer(ports).version == 3


def test_second_rollback_does_not_go_forward_again_unasked(ports: FakePorts) -> None:
    rollback(ports)
    with pytest.raises(CapctlError) as failed:
        rollback(ports)
    assert (failed.value.code, failed.value.exit_code) == ("rollback-unclear", 1)
    assert OLD.id in failed.value.message
    assert NEW.id in failed.value.message
    assert f"`--to {NEW.id}`" in failed.value.hint
    assert active_pointer(ports).release_id == OLD.id


def test_release_that_was_left_can_be_named_and_left_again(ports: FakePorts) -> None:
    rollback(ports)
    assert rollback(ports, to=NEW) == NEW.id
    assert rollback(ports) == OLD.id


def test_promotion_after_a_rollback_can_be_rolled_back(ports: FakePorts) -> None:
    rollback(ports)
    mended = numbered(3)
    ports.stack.add_release(mended)
    promote(ports, mended)
    assert rollback(ports) == OLD.id


def test_rollback_goes_by_the_order_of_promotion_not_of_making(ports: FakePorts) -> None:
    slow, quick = numbered(3), numbered(4)
    for release in (slow, quick):
        ports.stack.add_release(release)
    promote(ports, quick)
    promote(ports, slow)
    assert rollback(ports) == quick.id


def test_release_that_is_deployed_anew_can_be_rolled_back(ports: FakePorts) -> None:
    promote(ports, OLD)
    assert rollback(ports) == NEW.id


def test_rollback_changes_nothing_in_what_was_promoted_when(ports: FakePorts) -> None:
    for to in (OLD, NEW, OLD):
        rollback(ports, to=to)
        assert active_pointer(ports).promoted == (OLD.id, NEW.id)


def test_pointer_remembers_the_last_hundred_promotions(ports: FakePorts) -> None:
    many = tuple(str(number) for number in range(100))
    ports.pointers.move(replace(active_pointer(ports), version=3, promoted=many), expected_version=2)
    promote(ports, OLD)
    assert active_pointer(ports).promoted == (*many[1:], OLD.id)


def test_rollback_from_a_release_that_is_gone_goes_to_the_previous_one(ports: FakePorts) -> None:
    ports.stack.remove_releases({NEW.id})
    assert rollback(ports) == OLD.id


def test_reason_is_in_the_journal_and_the_pointer(ports: FakePorts) -> None:
    run = replace(RUN, reason="tracks are lost")
    execute(plan_rollback(ports, run, to=None), ports, run)
    assert active_pointer(ports).reason == "tracks are lost"
    assert ports.journal.entries()[-1].why == "tracks are lost"


def test_rollback_is_one_step(ports: FakePorts) -> None:
    plan = plan_rollback(ports, RUN, to=OLD.id)
    assert [step.describe() for step in plan.steps] == [f"pointer: {NEW.id} -> {OLD.id}"]


def test_rollback_to_the_active_release_does_nothing(ports: FakePorts) -> None:
    assert plan_rollback(ports, RUN, to=NEW.id).steps == ()


@pytest.mark.parametrize("to", [None, OLD.id])
def test_rollback_to_a_release_that_is_being_removed_is_refused(ports: FakePorts, to: str | None) -> None:
    ports.pointers.retired.add(OLD.id)
    plan = plan_rollback(ports, RUN, to=to)
    assert failure(lambda: execute(plan, ports, RUN)).code == "release-retired"
    assert active_pointer(ports).release_id == NEW.id


def test_rollback_to_a_release_that_does_not_exist_is_refused(ports: FakePorts) -> None:
    third = numbered(3)
    ports.stack.add_release(third)
    promote(ports, third)
    ports.stack.remove_releases({OLD.id})
    refused = failure(lambda: plan_rollback(ports, RUN, to=OLD.id))
    assert refused.code == "release-missing"
    assert "capctl history -v" in refused.hint


def test_rollback_asks_nothing_of_pulumi(ports: FakePorts) -> None:
    ports.stack.unreadable = CapctlError("pulumi-missing", "Pulumi is not installed")
    assert rollback(ports) == OLD.id


def test_release_that_never_took_jobs_is_not_rolled_back_to(ports: FakePorts) -> None:
    candidate = numbered(3)
    ports.stack.add_release(candidate)
    refused = failure(lambda: plan_rollback(ports, RUN, to=candidate.id))
    assert refused.code == "release-unproven"


def test_rollback_without_a_past_is_refused() -> None:
    stack = FakeStack()
    ports = FakePorts(stack=stack)
    with pytest.raises(CapctlError) as failed:
        plan_rollback(ports, RUN, to=None)
    assert failed.value.code == "pointer-missing"
    stack.add_release(OLD)
    ports.amis.add("models")
    promote(ports, OLD)
    with pytest.raises(CapctlError) as failed:
        plan_rollback(ports, RUN, to=None)
    assert failed.value.code == "previous-missing"


def test_rollback_loses_against_a_promotion_in_between(ports: FakePorts) -> None:
    plan = plan_rollback(ports, RUN, to=None)
    promote(ports, OLD)
    with pytest.raises(CapctlError) as failed:
        execute(plan, ports, RUN)
    assert failed.value.code == "pointer-moved"


def test_rollback_to_a_release_whose_ami_is_disabled_is_refused_and_names_the_ways_out(ports: FakePorts) -> None:
    ports.amis.disable(OLD.ami_id)
    refused = failure(lambda: plan_rollback(ports, RUN, to=None))
    assert (refused.code, active_pointer(ports).release_id) == ("ami-not-startable", NEW.id)
    assert f"`{OLD.ami_id}`, which is `disabled`" in refused.message
    assert refused.hint.startswith(f"Run `capctl ami disable {OLD.ami_id} --undo`, or name another release")


@pytest.mark.parametrize("state", [AmiState.FAILED, AmiState.DEREGISTERED])
def test_rollback_to_a_release_whose_ami_cannot_come_back_names_another_release(
    ports: FakePorts, state: AmiState
) -> None:
    ports.amis.change(OLD.ami_id, state=state)
    refused = failure(lambda: plan_rollback(ports, RUN, to=OLD.id))
    assert (refused.code, refused.hint) == (
        "ami-not-startable",
        "Name another release with `capctl rollback --to …`, `capctl status` lists them",
    )


def test_rollback_to_a_release_whose_ami_was_disabled_since_the_plan_moves_nothing(ports: FakePorts) -> None:
    plan = plan_rollback(ports, RUN, to=None)
    ports.clock.sleep(60)
    ports.amis.disable(OLD.ami_id)
    assert failure(lambda: execute(plan, ports, RUN)).code == "ami-not-startable"
    assert active_pointer(ports).release_id == NEW.id


def test_rollback_asks_no_more_of_an_ami_than_that_hosts_start(ports: FakePorts) -> None:
    ports.amis.tag(
        OLD.ami_id, {Tag.STATUS.value: "quarantined", Tag.VERIFIED.value: "failed boot 2026-01-01T00:00:00Z"}
    )
    assert rollback(ports) == OLD.id


def test_rollback_goes_to_a_release_whose_record_does_not_say_its_ami(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    untold = tuple(replace(release, ami_id=AmiId("")) for release in ports.stack.releases())
    monkeypatch.setattr(ports.stack, "releases", lambda: untold)
    assert rollback(ports) == OLD.id
