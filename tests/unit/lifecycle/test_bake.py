"""Bake: an AMI of the locked model set, once per content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Inconclusive, TimedOut
from lifecycle.ports.baker import AmiNameTaken, BakeRequest
from lifecycle.workflows.bake import plan_bake, wanted_ami
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.failures import failure
from tests.fakes.amis import BASE_AMI
from tests.fakes.bakes import CONTENTS, FINISH, Scene, names_of
from tests.fakes.runs import RUN


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_bake_ends_with_a_verified_ami_that_tells_what_went_into_it(scene: Scene) -> None:
    ami = scene.bake()
    inputs = wanted_ami(scene.ports, scene.target).inputs
    assert ami.status is AmiStatus.VERIFIED
    assert ami.imds_v2
    assert ami.tags[Tag.BASE_AMI] == BASE_AMI
    assert ami.tags[Tag.BAKE_DIGEST] == inputs.digest
    assert ami.tags[Tag.MODEL_SET] == inputs.model_set
    assert (ami.tags[Tag.RUN], ami.tags[Tag.MADE_BY]) == (RUN.id, RUN.user)
    (request,) = scene.baker.requests
    assert request.tags[Tag.RUN_UNTIL] == "2026-01-01T01:10:00Z"
    assert ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, ami.id)) is None


def test_checks_of_an_ami_say_what_was_expected(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.change(ami.id, state=AmiState.PENDING)
    error = ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, ami.id))
    assert error is not None
    assert error.details == ("failed  state: expected available, found pending",)


def test_bake_pins_the_base_ami_by_id(scene: Scene) -> None:
    scene.bake()
    assert scene.baker.requests[0].base.id == BASE_AMI


def test_each_input_changes_the_ami(scene: Scene) -> None:
    first = scene.bake()
    scene.change_models({**CONTENTS, "models/age.onnx": b"new"})
    assert scene.bake().id != first.id


def test_hit_that_is_not_verified_is_verified_and_not_baked(scene: Scene) -> None:
    left = scene.leave_unproven()
    plan = scene.plan()
    assert names_of(plan) == FINISH
    assert scene.bake().id == left.id
    assert len(scene.baker.requests) == 1


def test_untagged_hit_with_a_report_is_adopted(scene: Scene) -> None:
    made = scene.bake()
    scene.amis.untag(made.id, made.tags)
    scene.amis.change(made.id, state=AmiState.PENDING)
    scene.amis.course[made.id] = [AmiState.PENDING, AmiState.PENDING, AmiState.PENDING, AmiState.AVAILABLE]
    assert names_of(scene.plan()) == FINISH
    ami = scene.bake()
    assert (ami.id, ami.status) == (made.id, AmiStatus.VERIFIED)


def test_candidate_of_another_run_keeps_that_runs_marks(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.amis.tag(left.id, {Tag.RUN.value: "another-run", Tag.MADE_BY.value: "ada"})
    finished = scene.bake()
    assert (finished.tags[Tag.RUN], finished.tags[Tag.MADE_BY]) == ("another-run", "ada")


def test_candidate_of_a_run_that_left_no_name_gets_none(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.amis.untag(left.id, [Tag.MADE_BY])
    assert Tag.MADE_BY not in scene.bake().tags


def test_forced_bake_makes_a_second_ami_that_counts_from_then_on(scene: Scene) -> None:
    first = scene.bake()
    second = scene.bake(force=True)
    assert second.id != first.id
    assert ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, second.id)) is None
    assert scene.plan().steps == ()


def test_name_of_a_forced_bake_does_not_grow_with_each(scene: Scene) -> None:
    first = scene.bake()
    scene.bake(force=True)
    assert scene.plan(force=True).title == f"bake {first.name}-{RUN.id}"


def test_forced_bake_goes_on_with_what_a_killed_one_left(scene: Scene) -> None:
    scene.bake()
    left = scene.bake(force=True)
    scene.mark(left.id, AmiStatus.CANDIDATE)
    plan = scene.plan(force=True)
    assert left.id in plan.because
    assert names_of(plan) == FINISH


def test_loser_of_two_bakes_adopts_the_winners_ami(scene: Scene) -> None:
    plan = plan_bake(scene.ports, scene.target, RUN, wanted_ami(scene.ports, scene.target))
    winner = scene.bake()
    scene.mark(winner.id, AmiStatus.PROMOTED)
    scene.baker.error_of = lambda _: AmiNameTaken("ami-name-taken", "taken")
    execute(plan, scene.ports, RUN)
    found = scene.amis.get(winner.id)
    assert (scene.bake().id, found.status) == (winner.id, AmiStatus.PROMOTED)


def test_loser_of_two_bakes_waits_until_ec2_shows_the_winner(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_bake(scene.ports, scene.target, RUN, wanted_ami(scene.ports, scene.target))
    winner, by_name, early = scene.bake(), scene.amis.by_name, [None, None]
    scene.baker.error_of = lambda _: AmiNameTaken("ami-name-taken", "taken")
    monkeypatch.setattr(scene.amis, "by_name", lambda name: early.pop() if early else by_name(name))
    execute(plan, scene.ports, RUN)
    assert (scene.bake().id, early) == (winner.id, [])


def test_name_that_ec2_calls_taken_and_never_shows_is_an_error(scene: Scene) -> None:
    scene.baker.error_of = lambda _: AmiNameTaken("ami-name-taken", "taken")
    assert failure(scene.bake).code == "ami-name-taken"


PLACES: dict[str, Any] = {"instance_types": ("m6i.large", "m5.large"), "subnet_ids": ("subnet-1", "subnet-2")}


def no_capacity_in(*full: tuple[str, str | None]) -> Callable[[BakeRequest], CapctlError | None]:
    def error_of(request: BakeRequest) -> CapctlError | None:
        is_full = (request.place.instance_type, request.place.subnet_id) in full
        return Inconclusive("no-capacity", "AWS has no capacity for baking") if is_full else None

    return error_of


def test_bake_goes_from_place_to_place_until_aws_has_capacity(tmp_path: Path) -> None:
    scene = Scene(tmp_path, **PLACES)
    scene.baker.error_of = no_capacity_in(("m6i.large", "subnet-1"), ("m6i.large", "subnet-2"))
    assert scene.bake().status is AmiStatus.VERIFIED
    asked = [(place.instance_type, place.subnet_id) for place in (request.place for request in scene.baker.requests)]
    assert asked == [("m6i.large", "subnet-1"), ("m6i.large", "subnet-2"), ("m5.large", "subnet-1")]
    notes = [line for line in scene.ports.ui.lines if "has no capacity" in line]
    assert notes == [f"AWS has no capacity for m6i.large in subnet-{number}" for number in (1, 2)]


def test_bake_without_capacity_anywhere_names_all_that_was_tried(tmp_path: Path) -> None:
    scene = Scene(tmp_path, instance_types=("m6i.large", "m5.large"))
    scene.baker.error_of = no_capacity_in(("m6i.large", None), ("m5.large", None))
    with pytest.raises(Inconclusive) as failed:
        scene.bake()
    assert failed.value.code == "no-capacity"
    assert failed.value.details == ("m6i.large in the default VPC", "m5.large in the default VPC")


def test_bake_tries_no_other_place_after_any_other_failure(tmp_path: Path) -> None:
    scene = Scene(tmp_path, **PLACES)
    scene.baker.error_of = lambda _: Inconclusive("aws-throttled", "AWS refused one call too many")
    with pytest.raises(Inconclusive):
        scene.bake()
    assert len(scene.baker.requests) == 1


@pytest.mark.parametrize("force", [False, True])
def test_next_bake_goes_on_with_the_ami_that_was_pending_when_the_time_was_over(scene: Scene, force: bool) -> None:
    scene.baker.unfinished = TimedOut("ami-pending", "AMI was still pending when the time was over")
    with pytest.raises(TimedOut):
        scene.bake(force=force)
    (left,) = scene.amis.list(scene.target.project)
    scene.amis.course[left.id] = [*[AmiState.PENDING] * 2, *[AmiState.AVAILABLE] * 9]
    assert names_of(scene.plan(force=force)) == FINISH
    done = scene.bake(force=force)
    assert (done.id, done.status, len(scene.baker.requests)) == (left.id, AmiStatus.VERIFIED, 1)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda report: report["files"].pop(), "`models/age.onnx` is missing"),
        (lambda report: report["files"][0].update(sha256="0" * 64), "sha256 000000"),
        (lambda report: report["files"][0].update(mode="0644"), "mode 0644, not 0444"),
        (lambda report: report["files"].append({**report["files"][0], "path": "models/x"}), "not in the model set"),
        (lambda report: report["markers"].pop(0), "`.model-set.json` is missing"),
    ],
)
def test_report_that_differs_from_the_lock_leaves_no_ami(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], expected: str
) -> None:
    scene = Scene(tmp_path, damage=damage)
    with pytest.raises(CapctlError) as failed:
        scene.bake()
    assert failed.value.code == "payload-mismatch"
    assert expected in failed.value.message
    assert list_amis(scene.ports, scene.target).amis == ()


def test_report_of_another_form_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path, damage=lambda report: report.clear())
    with pytest.raises(CapctlError) as failed:
        scene.bake()
    assert failed.value.code == "evidence-invalid"


def test_bake_waits_until_the_ami_that_was_made_is_visible(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    bake_ami, by_name, early = scene.ports.baker.bake, scene.amis.by_name, [False]

    def baked(request: BakeRequest, accept: Callable[[dict[str, Any]], None]) -> AmiId:
        early[0] = True
        return bake_ami(request, accept)

    def found(name: str) -> AmiRecord | None:
        return by_name(name) if not early[0] or scene.ports.clock.slept else None

    monkeypatch.setattr(scene.ports.baker, "bake", baked)
    monkeypatch.setattr(scene.amis, "by_name", found)
    assert scene.bake().status is AmiStatus.VERIFIED
    assert early[0]
