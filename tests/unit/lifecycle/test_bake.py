"""Bake: an AMI of the locked model set, once per content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiState, AmiStatus, Tag
from lifecycle.errors import CapctlError, ExitCode, UsageError
from lifecycle.ports.baker import AmiNameTaken
from lifecycle.workflows.ami_status import SetStatus
from lifecycle.workflows.bake import plan_bake, wanted_ami
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.fakes.amis import BASE_AMI
from tests.fakes.bakes import CONTENTS, FINISH, Scene, failure_of, names_of
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
    assert ami.tags[Tag.RUN] == RUN.id
    (request,) = scene.baker.requests
    assert request.tags[Tag.RUN_UNTIL] == "2026-01-01T01:10:00+00:00"
    assert ami_rejection(verify_ami(scene.ports, scene.target, ami.id)) is None


def test_plan_tells_the_size_of_the_model_set_in_a_fitting_unit(scene: Scene) -> None:
    assert "(2 files, 10 B)" in scene.plan().render()


def test_checks_of_an_ami_say_what_was_expected(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.change(ami.id, state=AmiState.PENDING)
    error = ami_rejection(verify_ami(scene.ports, scene.target, ami.id))
    assert error is not None
    assert error.details == ("failed  state: expected available, found pending",)


def test_bake_pins_the_base_ami_by_id(scene: Scene) -> None:
    scene.bake()
    assert scene.baker.requests[0].base.id == BASE_AMI


def test_unchanged_bake_has_no_steps_and_says_why(scene: Scene) -> None:
    ami = scene.bake()
    heads = scene.objects.heads
    plan = scene.plan()
    assert plan.steps == ()
    assert f"`{ami.id}` is verified" in plan.because
    assert scene.objects.heads == heads


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
    (listed,) = list_amis(scene.ports, scene.target)
    assert listed.status == "quarantined"
    assert scene.bake(force=True).id != ami.id
    assert scene.amis.get(ami.id).status == "quarantined"


@pytest.mark.parametrize(
    ("status", "to"),
    [
        (None, AmiStatus.VERIFIED),
        (AmiStatus.CANDIDATE, AmiStatus.PROMOTED),
        (AmiStatus.DISABLED, AmiStatus.CANDIDATE),
        (AmiStatus.DISABLED, AmiStatus.VERIFIED),
        (AmiStatus.DEREGISTERED, AmiStatus.CANDIDATE),
    ],
)
def test_status_is_not_set_where_the_life_of_an_ami_does_not_lead(
    scene: Scene, status: AmiStatus | None, to: AmiStatus
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status or "")
    with pytest.raises(CapctlError) as failed:
        SetStatus(ports=scene.ports, name=ami.name, to=to).apply()
    assert failed.value.code == "ami-status-refused"
    assert ("`capctl ami bake --force`" in failed.value.hint) == bool(status and status.is_withdrawn)
    assert scene.amis.get(ami.id).status == status


def test_status_that_does_not_read_back_fails_the_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.leave_unproven()
    step = SetStatus(ports=scene.ports, name=ami.name, to=AmiStatus.VERIFIED)
    monkeypatch.setattr(scene.amis, "tag", lambda *_: None)
    with pytest.raises(CapctlError, match="capctl:status=candidate") as failed:
        step.verify(step.apply())
    assert failed.value.code == "tags-not-set"


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
    scene.amis._own[made.id] = replace(made, tags={}, state=AmiState.PENDING)
    scene.amis.course[made.id] = [AmiState.PENDING, AmiState.AVAILABLE]
    assert names_of(scene.plan()) == FINISH
    ami = scene.bake()
    assert (ami.id, ami.status) == (made.id, AmiStatus.VERIFIED)


def test_candidate_of_another_run_keeps_that_runs_mark(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.amis.tag(left.id, {Tag.RUN.value: "another-run"})
    assert scene.bake().tags[Tag.RUN] == "another-run"


def test_forced_bake_makes_a_second_ami_that_counts_from_then_on(scene: Scene) -> None:
    first = scene.bake()
    second = scene.bake(force=True)
    assert second.id != first.id
    assert ami_rejection(verify_ami(scene.ports, scene.target, second.id)) is None
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
    scene.baker.error = AmiNameTaken("ami-name-taken", "taken")
    execute(plan, scene.ports, RUN)
    found = scene.amis.get(winner.id)
    assert (scene.bake().id, found.status) == (winner.id, AmiStatus.PROMOTED)


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
    assert list_amis(scene.ports, scene.target) == ()


def test_report_of_another_form_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path, damage=lambda report: report.clear())
    with pytest.raises(CapctlError) as failed:
        scene.bake()
    assert failed.value.code == "evidence-invalid"


def test_bake_refuses_before_an_instance_starts(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.change_models({"models/big.bin": b"x" * 1001})
    assert failure_of(scene).code == "payload-over-budget"
    scene.change_models(CONTENTS)
    scene.amis._foreign[BASE_AMI] = replace(scene.amis.get(BASE_AMI), architecture="arm64")
    assert failure_of(scene).exit_code == ExitCode.USAGE
    scene.amis._foreign[BASE_AMI] = replace(scene.amis.get(BASE_AMI), architecture="x86_64")
    scene.objects.stored.clear()
    error = failure_of(scene)
    assert error.code == "object-missing"
    assert error.details == ("missing: checkpoints/llava/weights.bin", "missing: models/age.onnx")
    assert scene.baker.requests == []


def test_bake_is_refused_where_a_program_that_it_needs_is_missing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.baker.lacks = UsageError("session-manager-plugin-missing", "not installed")
    assert failure_of(scene) is scene.baker.lacks


def test_unknown_base_ami_is_a_usage_error(tmp_path: Path) -> None:
    assert failure_of(Scene(tmp_path, base="/no/such/parameter")).code == "base-ami-unknown"
