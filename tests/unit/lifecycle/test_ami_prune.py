"""A prune of AMIs: two runs with a grace between them, and every proof made anew right before a change."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, AmiState, Grant, Tag
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.plan import Done
from lifecycle.domain.retention import Fate
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError, Denied
from lifecycle.ports import Ports
from lifecycle.workflows.bake_inputs import present_inputs
from lifecycle.workflows.disable_ami import plan_disable
from lifecycle.workflows.execute import execute
from lifecycle.workflows.prune import Pruning, plan_prune, unproven
from tests.fakes.amis import BASE_AMI, FakeAmis
from tests.fakes.channels import FakeChannels
from tests.fakes.faults import Broken
from tests.fakes.pointers import pointer_at
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target

DAY_S = 86_400


class Scene:
    """A project with AMIs that are 100 days old."""

    def __init__(self, folder: Path) -> None:
        self.ports = FakePorts()
        self.target: Target = make_target(folder)
        self.ports.clock.sleep(100 * DAY_S)

    def ami(self, name: str = "old") -> AmiRecord:
        made = self.ports.amis.add(name)
        self.ports.amis.tag(made.id, {Tag.PROJECT: "vision", Tag.STATUS: "verified"})
        return self.ports.amis.get(made.id)

    def plan(self, *, most: int = 10) -> Pruning:
        return plan_prune(self.ports, self.target, most=most)

    def prune(self, *, most: int = 10) -> Done:
        return execute(self.plan(most=most).plan, self.ports, RUN)

    def disabled(self, name: str = "old") -> AmiRecord:
        """An AMI that an earlier run disabled, and whose grace has passed."""
        made = self.ami(name)
        self.prune()
        self.ports.clock.sleep(3 * DAY_S)
        return self.ports.amis.get(made.id)

    def use(self, ami: AmiRecord) -> Use:
        return Use(ami_id=ami.id, kind="instance", name="i-1")

    @property
    def ids(self) -> list[str]:
        return [ami.id for ami in self.ports.amis.list("vision")]


OTHER = Grant(account="210987654321")


def refuse(*_: object) -> None:
    raise Denied("permission-denied", "AWS refused it")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def outcomes(done: Done) -> list[str]:
    return [str(result) for _, result in done.results]


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


@pytest.mark.parametrize("source", ["channel", "release", "instance"])
def test_ami_that_is_wanted_stays(scene: Scene, source: str) -> None:
    ami = scene.ami()
    if source == "channel":
        scene.ports.channels.write(Channel("prod"), ami.id, Note(by="ann"), is_first=True)
    elif source == "release":
        scene.ports.stack.stand(replace(deployed(make_release()), ami_id=ami.id))
    else:
        scene.ports.ami_users.uses.append(scene.use(ami))
    pruning = scene.plan()
    assert [verdict.fate for verdict in pruning.verdicts] == [Fate.KEEP]
    assert pruning.plan.steps == ()
    assert pruning.unread == ()


@pytest.mark.parametrize(("level", "fate"), [("payload", Fate.KEEP), ("boot", Fate.DISABLE)])
def test_ami_that_an_instance_found_wrong_is_kept_for_no_bake(scene: Scene, level: str, fate: Fate) -> None:
    failed = {Tag.STATUS.value: "candidate", Tag.VERIFIED.value: f"failed {level} 2026-01-01T00:00:00Z"}
    scene.ports.amis.tag(locked(scene).id, failed)
    assert [verdict.fate for verdict in scene.plan().verdicts] == [fate]


def locked(scene: Scene) -> AmiRecord:
    """A proven AMI of what the lock, the base and the recipe are now."""
    scene.ports.model_lock.write(model_set((ModelFile(path="models/age.onnx", bytes=3, sha256="0" * 64),)))
    scene.ports.amis.parameters[scene.target.settings.ami.base] = BASE_AMI
    _, inputs = present_inputs(scene.ports, scene.target)
    ami = scene.ami(inputs.ami_name("vision"))
    scene.ports.amis.tag(ami.id, {Tag.BAKE_DIGEST.value: inputs.digest})
    return ami


def test_ami_of_the_present_lock_stays_though_no_channel_names_it(scene: Scene) -> None:
    wanted, other = locked(scene), scene.ami("other")
    reasons = {one.ami.id: one.reasons for one in scene.plan().verdicts}
    assert reasons == {wanted.id: ("a bake would give it now",), other.id: ("nothing uses it",)}


def test_without_a_lock_the_other_rules_go_on_and_that_is_said(scene: Scene) -> None:
    scene.ami()
    assert [one.fate for one in scene.plan().verdicts] == [Fate.DISABLE]
    assert "There is no models.lock.yaml" in scene.ports.ui.lines[-1]


def test_base_that_cannot_be_read_keeps_everything(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    locked(scene)
    scene.ami("other")
    monkeypatch.setattr(FakeAmis, "resolve_base", refuse)
    pruning = scene.plan()
    assert [one.source for one in pruning.unread] == ["what a bake would give"]
    assert pruning.plan.steps == ()


def test_unread_source_keeps_everything_and_fails_the_command(scene: Scene) -> None:
    scene.disabled("first")
    scene.ami("second")
    scene.ports.ami_users.unread.append(Unread(source="instances", why="AWS refused reading instances"))
    pruning = scene.plan()
    assert pruning.plan.steps == ()
    failure = unproven(pruning, None)
    assert failure is not None
    assert (failure.code, failure.details) == ("use-unproven", ("instances: AWS refused reading instances",))


def test_release_without_an_ami_or_an_unknown_active_one_keeps_everything(scene: Scene) -> None:
    scene.ami()
    release = deployed(make_release())
    scene.ports.stack.stand(replace(release, ami_id=AmiId("")))
    assert [unread.source for unread in scene.plan().unread] == ["releases"]
    scene.ports.stack.remove_releases([release.id])
    scene.ports.pointers.move(pointer_at(make_release(2)), expected_version=0)
    assert [unread.source for unread in scene.plan().unread] == ["releases"]


@pytest.mark.parametrize(("port", "what"), [(FakeStack, "releases"), (FakeChannels, "list")])
def test_releases_or_channels_that_cannot_be_read_keep_everything(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, port: type, what: str
) -> None:
    scene.ami()
    source = "channels" if port is FakeChannels else "releases"

    def fail(*_: object, **__: object) -> None:
        raise CapctlError("aws-unreachable", "AWS did not answer")

    monkeypatch.setattr(port, what, fail)
    assert [(unread.source, unread.why) for unread in scene.plan().unread] == [(source, "AWS did not answer")]
    assert scene.plan().plan.steps == ()


@pytest.mark.parametrize("is_disabled", [False, True])
def test_use_that_appears_after_the_plan_stops_the_step(scene: Scene, is_disabled: bool) -> None:
    ami = scene.disabled() if is_disabled else scene.ami()
    scene.ports.ami_users.later[scene.ports.ami_users.scans + 2] = scene.use(ami)
    before = scene.ports.amis.get(ami.id)
    assert outcomes(scene.prune()) == ["kept: used by 1 instance: i-1"]
    assert scene.ports.amis.get(ami.id) == before


def test_shared_ami_stays_and_makes_room_for_the_next(scene: Scene) -> None:
    shared, other, unasked = scene.ami("a"), scene.ami("b"), scene.ami("c")
    scene.ports.amis.change_grants(shared.id, add=[OTHER])
    fates = {verdict.ami.id: verdict.fate for verdict in scene.plan(most=1).verdicts}
    assert fates == {shared.id: Fate.KEEP, other.id: Fate.DISABLE, unasked.id: Fate.KEEP}


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
    execute(plan_disable(scene.ports, scene.target, ami.id, force=False), scene.ports, RUN)
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


@pytest.mark.parametrize("is_disabled", [False, True])
def test_ami_whose_snapshot_others_may_copy_stays(scene: Scene, is_disabled: bool) -> None:
    ami = scene.disabled() if is_disabled else scene.ami()
    scene.ports.amis.set_snapshot_grants(ami.snapshot_ids[0], OTHER)
    assert [(one.fate, one.reasons) for one in scene.plan().verdicts] == [(Fate.KEEP, ("shared with 210987654321",))]


def test_ami_of_which_it_is_not_told_who_may_copy_its_snapshots_stays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.ami()
    monkeypatch.setattr(FakeAmis, "snapshot_grants", refuse)
    assert [one.reasons for one in scene.plan().verdicts] == [("not known with whom it is shared",)]


def test_snapshot_that_others_may_copy_stays_after_its_ami(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.ami()
    scene.ports.amis.orphan(ami.id)
    scene.ports.amis.set_snapshot_grants(ami.snapshot_ids[0], OTHER)
    assert [(one.fate, one.reasons) for one in scene.plan().orphans] == [(Fate.KEEP, ("shared with 210987654321",))]
    monkeypatch.setattr(FakeAmis, "snapshot_grants", refuse)
    assert [one.reasons for one in scene.plan().orphans] == [("not known with whom it is shared",)]


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


def test_snapshot_that_a_killed_removal_left_is_deleted_by_the_next_run(scene: Scene) -> None:
    ami = scene.disabled()
    scene.ports.amis.orphan(ami.id)
    assert outcomes(scene.prune()) == ["deleted"]
    assert scene.ports.amis.snapshots(ami.snapshot_ids) == ()


def test_snapshot_of_an_ami_that_somebody_else_removed_is_marked_first(scene: Scene) -> None:
    ami = scene.ami()
    scene.ports.amis.orphan(ami.id)
    assert outcomes(scene.prune()) == ["marked"]
    assert scene.prune().results == ()
    scene.ports.clock.sleep(2 * DAY_S)
    assert outcomes(scene.prune()) == ["deleted"]


def test_snapshot_whose_ami_lost_the_tag_of_the_project_stays(scene: Scene) -> None:
    ami = scene.ami()
    scene.ports.amis.tag(ami.id, {Tag.PROJECT: "another"})
    scene.ports.amis.tag_snapshot(ami.snapshot_ids[0], {Tag.PROJECT: "vision"})
    assert scene.plan().plan.steps == ()


def test_snapshot_that_an_ami_of_another_project_has_is_not_marked(scene: Scene) -> None:
    ami = scene.ami()
    scene.ports.amis.register("by hand", ami.snapshot_ids)
    scene.ports.amis.orphan(ami.id)
    assert scene.plan().plan.steps == ()


def test_removals_of_amis_and_snapshots_share_the_limit(scene: Scene) -> None:
    first, second = scene.ami("a"), scene.ami("b")
    scene.prune()
    scene.ports.clock.sleep(3 * DAY_S)
    scene.ports.amis.orphan(first.id)
    assert outcomes(scene.prune(most=1)) == ["deregistered"]
    assert outcomes(scene.prune(most=1)) == ["deleted"]
    assert scene.ports.amis.snapshots([*first.snapshot_ids, *second.snapshot_ids]) == ()
    assert scene.plan(most=0).plan.steps == ()


def test_snapshot_that_another_ami_has_stays_and_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.disabled()
    monkeypatch.setattr(FakeAmis, "deregister", lambda amis, one: (amis.orphan(one), ami.snapshot_ids)[1])
    assert outcomes(scene.prune()) == [f"deregistered; {ami.snapshot_ids[0]} stayed, which another AMI has"]


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


def test_what_is_saved_now_and_later_is_told_apart(scene: Scene) -> None:
    scene.disabled("a")
    scene.ami("b")
    pruning = scene.plan()
    assert (str(pruning.saved), str(pruning.saved_later)) == ("<= $1.50", "<= $1.50")
