"""A prune of AMIs takes the snapshots that gone AMIs left, by the same rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.retention import Fate
from lifecycle.domain.tags import Tag
from tests.fakes.amis import FakeAmis
from tests.unit.lifecycle.prune_parts import DAY_S, OTHER, Scene, outcomes, refuse


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_snapshot_that_others_may_copy_stays_after_its_ami(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.ami()
    scene.ports.amis.orphan(ami.id)
    scene.ports.amis.set_snapshot_grants(ami.snapshot_ids[0], OTHER)
    assert [(one.fate, one.reasons) for one in scene.plan().orphans] == [(Fate.KEEP, ("shared with 210987654321",))]
    monkeypatch.setattr(FakeAmis, "snapshot_grants", refuse)
    assert [one.reasons for one in scene.plan().orphans] == [("not known with whom it is shared",)]


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
