"""A prune of AMIs: two runs with a grace between them, and every proof made anew right before a change."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.retention import Fate
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.disable_ami import plan_disable
from lifecycle.workflows.execute import execute
from lifecycle.workflows.prune import plan_prune, unproven
from tests.fakes.amis import FakeAmis
from tests.fakes.faults import Broken
from tests.fakes.runs import RUN
from tests.unit.lifecycle.prune_parts import DAY_S, OTHER, Scene, outcomes, refuse


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_unused_ami_is_disabled_then_removed_once_the_grace_has_passed(scene: Scene) -> None:
    ami = scene.ami()
    assert outcomes(scene.prune()) == ["disabled"]
    found = scene.ports.amis.get(ami.id)
    assert (found.state, found.status) == (AmiState.DISABLED, "disabled")
    assert found.tags[Tag.DISABLED_AT] == "2026-04-11T00:00:00Z"
    assert scene.prune().results == ()
    scene.ports.clock.sleep(2 * DAY_S)
    assert outcomes(scene.prune()) == ["deregistered"]
    assert scene.ids == []
    assert scene.ports.amis.snapshots(ami.snapshot_ids) == ()
    assert scene.prune().results == ()


@pytest.mark.parametrize("is_disabled", [False, True])
def test_use_that_appears_after_the_plan_stops_the_step(scene: Scene, is_disabled: bool) -> None:
    ami = scene.disabled() if is_disabled else scene.ami()
    scene.ports.ami_users.later[scene.ports.ami_users.scans + 2] = scene.use(ami)
    before = scene.ports.amis.get(ami.id)
    assert outcomes(scene.prune()) == ["kept: used by instance i-1"]
    assert scene.ports.amis.get(ami.id) == before


def test_one_scan_serves_the_steps_of_a_minute(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.ami(name)
    plan, before = scene.plan().plan, scene.ports.ami_users.scans
    execute(replace(plan, steps=plan.steps[:2]), scene.ports, RUN)
    assert scene.ports.ami_users.scans == before + 1
    scene.ports.clock.sleep(61)
    execute(replace(plan, steps=plan.steps[2:]), scene.ports, RUN)
    assert scene.ports.ami_users.scans == before + 2


def test_channel_that_names_an_ami_within_that_minute_keeps_it(scene: Scene) -> None:
    first, second = scene.ami("a"), scene.ami("b")
    plan = scene.plan().plan
    execute(replace(plan, steps=plan.steps[:1]), scene.ports, RUN)
    left = {first.id, second.id} - {ami.id for ami in scene.ports.amis.own() if ami.is_off}
    scene.ports.channels.write(Channel("prod"), left.pop(), Note(by="ann"), is_first=True)
    assert outcomes(execute(replace(plan, steps=plan.steps[1:]), scene.ports, RUN)) == ["kept: channel prod names it"]


def test_scan_that_fails_before_a_change_ends_in_a_failure_and_is_not_tried_again(scene: Scene) -> None:
    scene.ami("a")
    scene.ami("b")
    pruning, before = scene.plan(), scene.ports.ami_users.scans
    scene.ports.ami_users.unread.append(Unread(source="instances", why="throttled"))
    done = execute(pruning.plan, scene.ports, RUN)
    assert outcomes(done) == ["kept: not known whether it is used: instances could not be read"] * 2
    assert scene.ports.ami_users.scans == before + 1
    failure = unproven(pruning, done)
    assert failure is not None
    assert (failure.code, failure.details) == ("use-unproven", ("instances: throttled",))


def test_snapshot_that_is_nobodys_is_told_and_never_removed(scene: Scene) -> None:
    made = scene.ports.amis.add("anybodys")
    assert scene.plan().strays == ()
    scene.ports.amis.orphan(made.id)
    for _ in range(2):
        pruning = scene.plan()
        assert ([one.id for one in pruning.strays], pruning.orphans) == ([*made.snapshot_ids], ())
        assert pruning.plan.steps == ()
        scene.prune()
        scene.ports.clock.sleep(100 * DAY_S)
    assert scene.ports.amis.snapshots(made.snapshot_ids)


def test_prune_does_without_the_strays_where_they_cannot_be_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.ami()
    monkeypatch.setattr(FakeAmis, "stray_snapshots", refuse)
    assert scene.plan().strays == ()
    assert outcomes(scene.prune()) == ["disabled"]


def test_ami_that_another_run_removed_is_nothing_to_do(scene: Scene) -> None:
    ami = scene.disabled()
    plan = scene.plan().plan
    scene.ports.amis.deregister(ami.id)
    assert outcomes(execute(plan, scene.ports, RUN)) == ["kept: it is gone already"]


def test_run_that_was_killed_between_disabling_and_tagging_is_finished(scene: Scene) -> None:
    ami = scene.ami()
    scene.ports.amis.disable(ami.id)
    assert outcomes(scene.prune()) == ["disabled"]
    assert Tag.DISABLED_AT in scene.ports.amis.get(ami.id).tags


def test_ami_that_was_withdrawn_by_hand_keeps_its_moment(scene: Scene) -> None:
    ami = scene.ami()
    execute(plan_disable(scene.ports, scene.target, RUN, ami.id, force=False), scene.ports, RUN)
    told = scene.ports.amis.get(ami.id).tags[Tag.DISABLED_AT]
    scene.ports.clock.sleep(3600)
    assert scene.prune().results == ()
    assert scene.ports.amis.get(ami.id).tags[Tag.DISABLED_AT] == told
    scene.ports.clock.sleep(2 * DAY_S)
    assert outcomes(scene.prune()) == ["deregistered"]


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("at", range(16))
def test_run_that_failed_halfway_never_lets_an_older_moment_count(scene: Scene, at: int, is_lost: bool) -> None:
    ami = scene.disabled()
    scene.ports.amis.enable(ami.id)
    ports = cast("Ports", Broken(scene.ports, "amis", at=at, is_lost=is_lost))
    with suppress(CapctlError):
        execute(plan_prune(ports, scene.target, most=10).plan, ports, RUN)
    assert [one.fate for one in scene.plan().verdicts] in ([Fate.DISABLE], [Fate.KEEP])
    scene.prune()
    assert scene.plan().verdicts[0].reasons == ("disabled, goes after 2026-04-16 00:00:00Z",)


def test_ami_that_was_enabled_by_hand_gets_another_grace(scene: Scene) -> None:
    ami = scene.disabled()
    scene.ports.amis.enable(ami.id)
    assert outcomes(scene.prune()) == ["disabled"]
    assert scene.prune().results == ()


def test_grant_that_comes_between_proof_and_change_is_taken_away_and_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.ami()
    untag = FakeAmis.untag

    def share_and_untag(amis: FakeAmis, ami_id: AmiId, keys: Collection[str]) -> None:
        amis.change_grants(ami_id, add=[OTHER])
        untag(amis, ami_id, keys)

    monkeypatch.setattr(FakeAmis, "untag", share_and_untag)
    assert outcomes(scene.prune()) == ["disabled; taken from 210987654321"]
    assert scene.ports.amis.grants(ami.id) == frozenset()


def test_disabled_ami_that_is_still_shared_fails_the_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.ami()

    def disable(amis: FakeAmis, ami_id: AmiId) -> None:
        amis.change(ami_id, state=AmiState.DISABLED)
        amis.set_snapshot_grants(ami.snapshot_ids[0], OTHER)

    monkeypatch.setattr(FakeAmis, "disable", disable)
    with pytest.raises(CapctlError, match="still shared with `210987654321`"):
        scene.prune()
    assert scene.ports.amis.get(ami.id).state is AmiState.DISABLED


def test_ami_that_ec2_gave_up_is_marked_though_it_cannot_be_disabled(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.ami()
    scene.ports.amis.change(ami.id, state=AmiState.FAILED)
    monkeypatch.delattr(FakeAmis, "disable")
    assert outcomes(scene.prune()) == ["disabled"]
    scene.ports.clock.sleep(2 * DAY_S)
    assert outcomes(scene.prune()) == ["deregistered"]


def test_ami_that_can_still_be_started_fails_the_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.ami()
    monkeypatch.setattr(FakeAmis, "disable", lambda *_: None)
    with pytest.raises(CapctlError) as failed:
        scene.prune()
    assert failed.value.code == "ami-not-disabled"


@pytest.mark.parametrize(("method", "code"), [("deregister", "ami-not-removed"), ("orphan", "snapshot-left")])
def test_what_is_still_there_after_its_removal_fails_the_step(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, method: str, code: str
) -> None:
    scene.disabled()

    def deregister(amis: FakeAmis, ami_id: str) -> tuple[str, ...]:
        if method == "orphan":
            amis.orphan(scene.ports.amis.list("vision")[0].id)
        return ()

    monkeypatch.setattr(FakeAmis, "deregister", deregister)
    with pytest.raises(CapctlError) as failed:
        scene.prune()
    assert failed.value.code == code
