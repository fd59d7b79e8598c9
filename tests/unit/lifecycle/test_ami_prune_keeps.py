"""What a prune never takes: what capctl did not make, what bakes start from, and copies of what channels name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.adapters.lock_file import LockFile
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.retention import Fate
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.runs import RUN
from tests.unit.lifecycle.prune_parts import OTHER, Scene, refuse

HOME, SOURCE = "us-west-2", AmiId("ami-0123456789abcdef0")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def reasons(scene: Scene) -> dict[AmiId, tuple[str, ...]]:
    return {one.ami.id: one.reasons for one in scene.plan().verdicts}


def test_ami_that_only_carries_the_tag_of_the_project_stays(scene: Scene) -> None:
    hand = scene.ports.amis.add("jupyter-golden", tags={Tag.PROJECT.value: "vision", "team": "research"})
    assert reasons(scene) == {hand.id: ("capctl did not make it",)}


def test_copy_that_somebody_made_with_all_tags_stays(scene: Scene) -> None:
    """As `CopyImage` with `CopyImageTags` makes it."""
    source = scene.ami()
    by_hand = scene.ports.amis.copy_from(HOME, replace(source, name="by-hand"), tags=source.tags)
    assert reasons(scene) == {source.id: ("nothing uses it",), by_hand: ("capctl did not make it",)}


def test_base_that_the_configuration_names_stays_also_without_a_lock(scene: Scene) -> None:
    base = scene.ami("golden")
    ami = replace(scene.target.settings.ami, base=base.id)
    scene.target = replace(scene.target, settings=replace(scene.target.settings, ami=ami))
    assert reasons(scene) == {base.id: ("bakes start from it",)}


def test_base_stays_as_long_as_an_ami_that_was_baked_from_it(scene: Scene) -> None:
    base, baked = scene.ami("golden"), scene.ami("baked")
    scene.ports.amis.tag(baked.id, {Tag.BASE_AMI.value: base.id})
    assert reasons(scene) == {baked.id: ("nothing uses it",), base.id: (f"{baked.id} was baked from it",)}
    scene.ports.amis.deregister(baked.id)
    assert reasons(scene) == {base.id: ("nothing uses it",)}


def test_base_that_the_configuration_came_to_name_after_the_plan_stays(scene: Scene) -> None:
    base = scene.ami("golden")
    plan = scene.plan().plan
    scene.ports.amis.parameters[scene.target.settings.ami.base] = base.id
    assert [str(result) for _, result in execute(plan, scene.ports, RUN).results] == ["kept: bakes start from it"]


def test_lock_that_cannot_be_read_keeps_everything(scene: Scene) -> None:
    scene.ami()
    path = Path(scene.target.folder) / "models.lock.yaml"
    path.write_text("<<<<<<< HEAD\nschema: 1\n=======\nschema: 1\n>>>>>>> theirs\n")
    scene.ports.model_lock = LockFile(path)
    scene.ports.amis.parameters[scene.target.settings.ami.base] = AmiId("ami-0base0000000gpu1")
    pruning = scene.plan()
    assert [one.source for one in pruning.unread] == ["what a bake would give"]
    assert pruning.plan.steps == ()


def copy(scene: Scene) -> AmiRecord:
    made = scene.ami("copy")
    scene.ports.amis.tag(made.id, {Tag.COPIED_FROM.value: f"{HOME}/{SOURCE}"})
    return scene.ports.amis.get(made.id)


def test_copy_stays_while_a_channel_of_its_sources_region_names_or_keeps_the_source(scene: Scene) -> None:
    made, channels = copy(scene), scene.ports.channels_in(HOME)
    assert reasons(scene) == {made.id: ("nothing uses it",)}
    channels.write(Channel("stable"), SOURCE, Note(by="ann"), is_first=True)
    assert reasons(scene) == {made.id: (f"its source in {HOME}: channel stable names it",)}
    channels.write(Channel("stable"), AmiId("ami-0next"), Note(by="ann"), is_first=False)
    assert reasons(scene) == {made.id: (f"its source in {HOME}: among the last 3 of channel stable",)}


def test_copy_stays_where_the_channels_of_its_sources_region_cannot_be_read_and_the_others_go(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = copy(scene), scene.ami("other")
    monkeypatch.setattr(scene.ports.channels_in(HOME), "list", refuse)
    assert reasons(scene) == {
        other.id: ("nothing uses it",),
        made.id: (f"not known whether a channel of {HOME} names its source",),
    }


def test_channel_that_comes_to_name_the_source_after_the_plan_keeps_the_copy(scene: Scene) -> None:
    copy(scene)
    plan = scene.plan().plan
    scene.ports.channels_in(HOME).write(Channel("stable"), SOURCE, Note(by="ann"), is_first=True)
    (kept,) = [str(result) for _, result in execute(plan, scene.ports, RUN).results]
    assert kept == f"kept: its source in {HOME}: channel stable names it"


def test_region_without_a_table_for_the_pointer_has_no_releases_and_is_pruned(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.ami()

    def missing() -> None:
        raise CapctlError("base-missing", "The pointer's table `vision` does not exist")

    monkeypatch.setattr(scene.ports.pointers, "read", missing)
    assert [one.fate for one in scene.plan().verdicts] == [Fate.DISABLE]


def test_ami_that_ec2_gave_up_goes_though_ec2_does_not_tell_with_whom_it_is_shared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ami = scene.ami()
    scene.ports.amis.change(ami.id, state=AmiState.INVALID)
    monkeypatch.setattr(FakeAmis, "grants", refuse)
    assert [one.fate for one in scene.plan().verdicts] == [Fate.DISABLE]


def test_of_many_amis_only_the_oldest_are_asked_about_until_as_many_go_as_may(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    amis = [scene.ami(f"ami-{number:02d}") for number in range(12)]
    scene.ports.amis.change_grants(amis[0].id, add=[OTHER])
    asked, grants = set[AmiId](), FakeAmis.grants

    def note(fake: FakeAmis, ami_id: AmiId) -> object:
        asked.add(ami_id)
        return grants(fake, ami_id)

    monkeypatch.setattr(FakeAmis, "grants", note)
    fates = {one.ami.id: one.fate for one in scene.plan(most=2).verdicts}
    assert asked == {amis[0].id, amis[1].id, amis[2].id}
    assert [fates[ami.id] for ami in amis[:4]] == [Fate.KEEP, Fate.DISABLE, Fate.DISABLE, Fate.KEEP]
