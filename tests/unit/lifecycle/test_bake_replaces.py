"""What a bake removes before it bakes again, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.bakes import FINISH, Scene, failure_of, names_of
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_hit_without_a_report_is_removed_and_baked_again(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    assert names_of(scene.plan()) == ["Deregister", "BakeAmi", *FINISH]
    assert scene.bake().id != left.id


def test_failed_ami_is_removed_and_baked_again(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.amis.change(left.id, state=AmiState.FAILED)
    assert names_of(scene.plan())[:2] == ["Deregister", "BakeAmi"]
    assert scene.bake().status is AmiStatus.VERIFIED


def test_ami_that_is_still_there_after_its_removal_fails_the_step(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = scene.leave_unproven()
    scene.amis.change(left.id, state=AmiState.FAILED)
    monkeypatch.setattr(FakeAmis, "deregister", lambda *_: None)
    plan = scene.plan()
    with pytest.raises(CapctlError) as failed:
        execute(plan, scene.ports, RUN)
    assert failed.value.code == "ami-not-removed"


RELEASE = deployed(make_release())
MAY_BE_IN_USE = [
    *((status, state) for status in ("", "candidate") for state in ("disabled", "transient", "hibernating")),
    *(
        (status, state)
        for status in ("verified", "smoke-passed", "promoted", "superseded")
        for state in ("disabled", "transient", "failed", "error", "invalid", "pending", "hibernating")
    ),
]


@pytest.mark.parametrize(("status", "state"), MAY_BE_IN_USE)
@pytest.mark.parametrize("has_report", [True, False])
def test_bake_never_removes_an_ami_that_may_be_in_use(scene: Scene, status: str, state: str, has_report: bool) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    scene.amis.change(ami.id, state=AmiState(state))
    if not has_report:
        scene.remove_reports()
    error = failure_of(scene)
    assert error.code == "ami-not-replaced"
    assert f"AMI `{ami.id}`" in error.message
    assert "`capctl ami bake --force`" in error.hint
    other = scene.bake(force=True)
    assert (other.id != ami.id, other.status) == (True, AmiStatus.VERIFIED)
    assert scene.amis.get(ami.id).state is AmiState(state)


@pytest.mark.parametrize("has_report", [True, False])
def test_bake_neither_revives_nor_removes_an_ami_that_was_withdrawn(scene: Scene, has_report: bool) -> None:
    ami = scene.bake()
    scene.mark(ami.id, AmiStatus.DISABLED)
    if not has_report:
        scene.remove_reports()
    error = failure_of(scene)
    assert (error.code, "was withdrawn" in error.message) == ("ami-not-replaced", True)
    other = scene.bake(force=True)
    assert other.name == f"{ami.name}-{RUN.id}"
    assert scene.amis.get(ami.id).status is AmiStatus.DISABLED
    assert scene.bake().id == other.id


def test_ami_of_a_release_is_not_replaced_whatever_its_tag_says(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    scene.ports.stack.stand(replace(RELEASE, ami_id=left.id))
    other = scene.bake()
    assert other.name == f"{left.name}-{RUN.id}"
    assert scene.amis.get(left.id).name == left.name
    assert scene.bake().id == other.id


@pytest.mark.parametrize("unread", [True, False])
def test_candidate_that_somebody_uses_or_may_use_stays_and_another_is_baked_beside_it(
    scene: Scene, unread: bool
) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    if unread:
        scene.ports.ami_users.unread.append(Unread(source="fleets", why="denied"))
    else:
        scene.ports.ami_users.uses.append(Use(of=left.id, kind="instance", name="i-1"))
    plan = scene.plan()
    assert names_of(plan) == ["BakeAmi", *FINISH]
    assert scene.bake().name == f"{left.name}-{RUN.id}"
    assert scene.amis.get(left.id).name == left.name


def test_ami_is_not_replaced_where_the_releases_cannot_be_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    unreadable = CapctlError("stack-failed", "the state cannot be read")

    def releases(_: object) -> None:
        raise unreadable

    monkeypatch.setattr(FakeStack, "releases", releases)
    assert scene.bake().id != left.id
    assert scene.amis.get(left.id).name == left.name


def test_target_without_a_base_stack_has_no_releases_that_use_an_ami(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    scene.ports.stack.bootstrapped = False
    assert scene.bake().id != left.id


@pytest.mark.parametrize("change", ["status", "state", "release", "use"])
def test_ami_that_came_into_use_after_the_plan_is_not_removed(scene: Scene, change: str) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    plan = scene.plan()
    if change == "status":
        scene.mark(left.id, AmiStatus.VERIFIED)
    elif change == "state":
        scene.amis.change(left.id, state=AmiState.DISABLED)
    elif change == "use":
        scene.ports.ami_users.uses.append(Use(of=left.id, kind="instance", name="i-1"))
    else:
        scene.ports.stack.stand(replace(RELEASE, ami_id=left.id))
    with pytest.raises(CapctlError) as failed:
        execute(plan, scene.ports, RUN)
    assert failed.value.code == "ami-not-replaced"
    assert scene.amis.get(left.id)


def test_ami_that_another_run_removed_meanwhile_is_removed_by_this_one_too(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    plan = scene.plan()
    scene.amis.deregister(left.id)
    execute(plan, scene.ports, RUN)
    assert scene.bake().id != left.id


def test_copy_that_somebody_made_by_hand_keeps_the_name_and_another_is_baked_beside_it(scene: Scene) -> None:
    """`CopyImage` keeps the name; the source is another account's."""
    name = scene.bake().name
    by_hand = FakeAmis().add(name)
    scene.amis.deregister(by_hand.id)
    copy = scene.amis.copy_from("us-west-2", replace(by_hand, id=AmiId("ami-0foreign")), tags={})
    baked = scene.bake()
    assert (baked.name, scene.amis.get(copy).name) == (f"{name}-{RUN.id}", name)


def test_name_of_an_ami_that_is_still_shown_as_deregistered_is_free(scene: Scene) -> None:
    left = scene.bake()
    scene.mark(left.id, AmiStatus.CANDIDATE)
    scene.amis.change(left.id, state=AmiState.DEREGISTERED)
    assert scene.bake().id != left.id
