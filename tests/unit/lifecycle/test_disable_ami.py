"""Disable: nobody can start the AMI any more, nobody keeps a grant, and only a proof brings it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiRecord, AmiState, AmiStatus, Grant, Tag
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.workflows.disable_ami import plan_disable, plan_enable
from lifecycle.workflows.execute import execute
from tests.fakes.bakes import Scene, names_of
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack

OTHER = Grant(account="210987654321")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def ami(scene: Scene) -> AmiRecord:
    return scene.bake()


def disable(scene: Scene, ami: AmiRecord, *, force: bool = False) -> Plan:
    plan = plan_disable(scene.ports, scene.target, ami.id, force=force)
    execute(plan, scene.ports, RUN)
    return plan


def enable(scene: Scene, ami: AmiRecord) -> Plan:
    plan = plan_enable(scene.ports, scene.target, RUN, ami.id)
    execute(plan, scene.ports, RUN)
    return plan


def code_of(scene: Scene, ami: AmiRecord, *, force: bool = False) -> str:
    with pytest.raises(CapctlError) as failed:
        disable(scene, ami, force=force)
    return failed.value.code


def use(scene: Scene, ami: AmiRecord) -> str:
    """A release of the AMI; returns its id."""
    release = replace(make_release(), ami_id=ami.id)
    scene.ports.stack.add_release(release, needed=frozenset())
    return release.id


def test_disabled_ami_says_since_when_and_is_shared_with_nobody(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.change_grants(ami.id, add=[OTHER])
    disable(scene, ami)
    found = scene.amis.get(ami.id)
    assert (found.state, found.status) == (AmiState.DISABLED, AmiStatus.DISABLED)
    assert found.tags[Tag.DISABLED_AT] == "2026-01-01T00:00:00Z"
    assert scene.amis.grants(ami.id) == frozenset()
    assert set(scene.amis.snapshot_grants(ami.id).values()) == {frozenset()}


def test_disabling_again_changes_nothing_and_keeps_the_time(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.ports.clock.sleep(3600)
    assert disable(scene, ami).steps == ()
    assert scene.amis.get(ami.id).tags[Tag.DISABLED_AT] == "2026-01-01T00:00:00Z"


def test_disable_that_was_killed_before_its_tags_is_finished(scene: Scene, ami: AmiRecord) -> None:
    scene.amis.disable(ami.id)
    disable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED


def test_ami_of_a_release_is_not_disabled(scene: Scene, ami: AmiRecord) -> None:
    use(scene, ami)
    assert code_of(scene, ami) == "ami-in-use"
    assert scene.amis.get(ami.id).state is AmiState.AVAILABLE


def test_release_that_comes_between_plan_and_step_stops_it(scene: Scene, ami: AmiRecord) -> None:
    plan = plan_disable(scene.ports, scene.target, ami.id, force=False)
    use(scene, ami)
    with pytest.raises(CapctlError, match="in use"):
        execute(plan, scene.ports, RUN)
    assert scene.amis.get(ami.id).state is AmiState.AVAILABLE


@pytest.mark.parametrize("status", [AmiStatus.PROMOTED, AmiStatus.DEREGISTERED])
def test_status_decides_who_may_be_disabled(scene: Scene, ami: AmiRecord, status: AmiStatus) -> None:
    scene.mark(ami.id, status)
    assert code_of(scene, ami) == ("ami-in-use" if status is AmiStatus.PROMOTED else "ami-status-refused")


def test_force_withdraws_from_a_release_and_says_who_feels_it(scene: Scene, ami: AmiRecord) -> None:
    release_id = use(scene, ami)
    scene.mark(ami.id, AmiStatus.PROMOTED)
    scene.amis.change_grants(ami.id, add=[OTHER])
    plan = disable(scene, ami, force=True)
    assert f"release `{release_id}`" in plan.because
    assert "`210987654321`, with whom it is shared" in plan.because
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED


def test_force_takes_a_status_of_another_version_and_refuses_a_deregistered_ami(scene: Scene, ami: AmiRecord) -> None:
    scene.mark(ami.id, "signed")
    assert code_of(scene, ami) == "ami-status-unknown"
    disable(scene, ami, force=True)
    scene.mark(ami.id, AmiStatus.DEREGISTERED)
    assert code_of(scene, ami, force=True) == "ami-status-refused"


class UnreadableStack(FakeStack):
    """A stack whose passphrase nobody has at night."""

    def releases(self) -> tuple[()]:
        raise CapctlError("passphrase-missing", "No passphrase is set")


def test_what_cannot_be_read_counts_as_in_use_unless_forced(scene: Scene, ami: AmiRecord) -> None:
    scene.ports.stack = UnreadableStack()
    assert code_of(scene, ami) == "passphrase-missing"
    assert "cannot be told (No passphrase is set)" in disable(scene, ami, force=True).because
    assert scene.amis.get(ami.id).state is AmiState.DISABLED


def test_way_back_is_a_proof(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    assert names_of(enable(scene, ami)) == ["EnableAmi", "MakeCandidate", "ProveAmi", "SetStatus"]
    found = scene.amis.get(ami.id)
    assert (found.state, found.status) == (AmiState.AVAILABLE, AmiStatus.VERIFIED)
    assert Tag.DISABLED_AT not in found.tags
    assert enable(scene, ami).steps == ()


def test_ami_that_cannot_be_proven_stays_a_candidate(scene: Scene, ami: AmiRecord) -> None:
    disable(scene, ami)
    scene.remove_reports()
    with pytest.raises(CapctlError, match="fails 1 of"):
        enable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.CANDIDATE


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_way_back_that_was_killed_is_gone_on_with(scene: Scene, ami: AmiRecord, steps: int) -> None:
    disable(scene, ami)
    plan = plan_enable(scene.ports, scene.target, RUN, ami.id)
    execute(replace(plan, steps=plan.steps[:steps]), scene.ports, RUN)
    enable(scene, ami)
    assert scene.amis.get(ami.id).status is AmiStatus.VERIFIED


def test_deregistered_ami_does_not_come_back(scene: Scene, ami: AmiRecord) -> None:
    scene.mark(ami.id, AmiStatus.DEREGISTERED)
    with pytest.raises(CapctlError) as failed:
        enable(scene, ami)
    assert failed.value.code == "ami-status-refused"
