"""What the status of an AMI that is there already means to a bake, and where a status may be set."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.ami_status import AmiStatus
from lifecycle.errors import CapctlError
from lifecycle.workflows.ami_status import set_status
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.list_amis import list_amis
from tests.fakes.bakes import FINISH, Scene, failure_of, names_of


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize(
    "status", [AmiStatus.VERIFIED, AmiStatus.SMOKE_PASSED, AmiStatus.PROMOTED, AmiStatus.SUPERSEDED]
)
def test_unchanged_bake_leaves_an_ami_that_has_come_further_as_it_is(scene: Scene, status: AmiStatus) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    again = scene.baked()
    assert (again.ami.id, again.ami.status, again.is_changed) == (ami.id, status, False)


def test_ami_of_a_newer_version_is_told_as_what_it_is_and_never_demoted(scene: Scene) -> None:
    ami = scene.bake()
    scene.mark(ami.id, "quarantined")
    error = failure_of(scene)
    assert error.code == "ami-status-unknown"
    assert f"`{ami.id}` is tagged `capctl:status=quarantined`" in error.message
    (listed,) = list_amis(scene.ports, scene.target).amis
    assert listed.ami.status == "quarantined"
    assert scene.bake(force=True).id != ami.id
    assert scene.amis.get(ami.id).status == "quarantined"


@pytest.mark.parametrize(
    ("status", "to"),
    [
        (None, AmiStatus.VERIFIED),
        (AmiStatus.CANDIDATE, AmiStatus.PROMOTED),
        (AmiStatus.DISABLED, AmiStatus.CANDIDATE),
        (AmiStatus.DISABLED, AmiStatus.VERIFIED),
    ],
)
def test_status_is_not_set_where_the_life_of_an_ami_does_not_lead(
    scene: Scene, status: AmiStatus | None, to: AmiStatus
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status or "")
    with pytest.raises(CapctlError) as failed:
        set_status(scene.amis, scene.amis.get(ami.id), to)
    assert failed.value.code == "ami-status-refused"
    assert ("`capctl ami bake --force`" in failed.value.hint) == bool(status and status.is_withdrawn)
    assert scene.amis.get(ami.id).status == status


def test_status_that_does_not_read_back_fails_the_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.leave_unproven()
    (step,) = [step for step in scene.plan().steps if isinstance(step, ProveAmi)]
    monkeypatch.setattr(scene.amis, "tag", lambda *_: None)
    with pytest.raises(CapctlError, match="capctl:") as failed:
        step.verify(step.apply())
    assert failed.value.code == "tags-not-set"


@pytest.mark.parametrize(
    ("status", "from_status", "steps"),
    [
        (AmiStatus.VERIFIED, AmiStatus.VERIFIED, []),
        (AmiStatus.VERIFIED, AmiStatus.SMOKE_PASSED, ["ProveAmi"]),
        (AmiStatus.SMOKE_PASSED, AmiStatus.SMOKE_PASSED, []),
        (AmiStatus.SMOKE_PASSED, AmiStatus.PROMOTED, ["ProveAmi"]),
        (AmiStatus.PROMOTED, AmiStatus.PROMOTED, []),
        (AmiStatus.SUPERSEDED, AmiStatus.SMOKE_PASSED, []),
        (AmiStatus.SUPERSEDED, AmiStatus.PROMOTED, ["ProveAmi"]),
        (AmiStatus.CANDIDATE, AmiStatus.VERIFIED, FINISH),
        (AmiStatus.CANDIDATE, AmiStatus.PROMOTED, FINISH),
    ],
)
def test_ami_below_the_status_that_is_trusted_is_verified_again_before_it_counts(
    scene: Scene, status: AmiStatus, from_status: AmiStatus, steps: list[str]
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    assert names_of(scene.plan(from_status=from_status)) == steps
    again = scene.baked(from_status=from_status)
    assert (again.ami.id, again.is_changed) == (ami.id, steps == FINISH)
    told = f"AMI `{ami.id}` is {again.ami.status}, not {from_status}: "
    assert any(line.startswith(told) for line in scene.ports.ui.lines) == (
        again.ami.status != from_status and steps != []
    )


def test_ami_that_no_longer_passes_is_not_taken_below_the_trusted_status(scene: Scene) -> None:
    scene.bake()
    scene.remove_reports()
    assert not scene.baked().is_changed
    with pytest.raises(CapctlError) as failed:
        scene.baked(from_status=AmiStatus.SMOKE_PASSED)
    assert failed.value.code == "ami-not-verified"
    assert "`capctl ami bake --force`" in failed.value.hint


def test_ami_that_came_far_enough_is_taken_before_a_newer_one_that_did_not(scene: Scene) -> None:
    first = scene.bake()
    scene.mark(first.id, AmiStatus.PROMOTED)
    second = scene.bake(force=True)
    assert scene.baked().ami.id == second.id
    assert scene.baked(from_status=AmiStatus.PROMOTED).ami.id == first.id
