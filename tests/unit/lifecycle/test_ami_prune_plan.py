"""What a prune of AMIs would take, and what keeps an AMI or everything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.retention import Fate
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread
from lifecycle.errors import CapctlError
from lifecycle.workflows.bake_inputs import present_inputs
from lifecycle.workflows.prune import unproven
from tests.fakes.amis import BASE_AMI, FakeAmis
from tests.fakes.channels import FakeChannels
from tests.fakes.pointers import pointer_at
from tests.fakes.releases import make_release
from tests.fakes.stack import FakeStack, deployed
from tests.unit.lifecycle.prune_parts import DAY_S, OTHER, Scene, refuse


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


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


@pytest.mark.parametrize(("level", "fate"), [("payload", Fate.KEEP), ("boot", Fate.DISABLE)])
def test_ami_that_an_instance_found_wrong_is_kept_for_no_bake(scene: Scene, level: str, fate: Fate) -> None:
    failed = {Tag.STATUS.value: "candidate", Tag.VERIFIED.value: f"failed {level} 2026-01-01T00:00:00Z"}
    scene.ports.amis.tag(locked(scene).id, failed)
    assert [verdict.fate for verdict in scene.plan().verdicts] == [fate]


def test_plan_tells_how_many_wait_for_a_later_run(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        scene.ami(name)
    later = "a later run takes, since `--max-deletions` is reached"
    assert scene.plan(most=0).plan.because == f"3 AMIs or snapshots are not needed, 3 of which {later}"
    assert scene.plan(most=2).plan.because == f"3 AMIs or snapshots are not needed, 1 of which {later}"
    assert scene.plan().plan.because == "3 AMIs or snapshots are not needed"
    scene.prune()
    assert scene.plan().plan.because == "every AMI is needed, or not old enough"


def test_saving_counts_what_waits_for_its_grace_and_no_snapshot_that_another_ami_keeps(scene: Scene) -> None:
    first = scene.ami("first")
    assert [str(cost) for cost in (scene.plan().saved, scene.plan().saved_later)] == ["$0.00", "<= $1.50"]
    scene.prune()
    assert [str(cost) for cost in (scene.plan().saved, scene.plan().saved_later)] == ["$0.00", "<= $1.50"]
    scene.ports.clock.sleep(3 * DAY_S)
    assert [str(cost) for cost in (scene.plan().saved, scene.plan().saved_later)] == ["<= $1.50", "$0.00"]
    scene.ports.amis.register("by-hand", first.snapshot_ids)
    assert [str(cost) for cost in (scene.plan().saved, scene.plan().saved_later)] == ["$0.00", "$0.00"]


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


def test_shared_ami_stays_and_makes_room_for_the_next(scene: Scene) -> None:
    shared, other, unasked = scene.ami("a"), scene.ami("b"), scene.ami("c")
    scene.ports.amis.change_grants(shared.id, add=[OTHER])
    fates = {verdict.ami.id: verdict.fate for verdict in scene.plan(most=1).verdicts}
    assert fates == {shared.id: Fate.KEEP, other.id: Fate.DISABLE, unasked.id: Fate.KEEP}


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


def test_what_is_saved_now_and_later_is_told_apart(scene: Scene) -> None:
    scene.disabled("a")
    scene.ami("b")
    pruning = scene.plan()
    assert (str(pruning.saved), str(pruning.saved_later)) == ("<= $1.50", "<= $1.50")
