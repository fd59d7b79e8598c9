"""Bake: an AMI of the locked model set, once per content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord, AmiState, AmiStatus, Tag
from lifecycle.domain.channel import CANDIDATE
from lifecycle.errors import CapctlError, ExitCode, Inconclusive, TimedOut, UsageError
from lifecycle.ports.baker import AmiNameTaken, BakeRequest
from lifecycle.workflows.ami_status import SetStatus
from lifecycle.workflows.bake import bake, plan_bake, wanted_ami
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.move_channel import NameCandidate
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.fakes.amis import BASE_AMI, BASE_PARAMETER
from tests.fakes.bakes import CONTENTS, FINISH, Scene, failure_of, names_of
from tests.fakes.faults import Broken
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


def test_plan_tells_the_size_of_the_model_set_in_a_fitting_unit(scene: Scene) -> None:
    assert "(2 files, 10 B)" in scene.plan().render()


def test_checks_of_an_ami_say_what_was_expected(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.change(ami.id, state=AmiState.PENDING)
    error = ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, ami.id))
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
        (AmiStatus.DEREGISTERED, AmiStatus.CANDIDATE),
    ],
)
def test_status_is_not_set_where_the_life_of_an_ami_does_not_lead(
    scene: Scene, status: AmiStatus | None, to: AmiStatus
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status or "")
    with pytest.raises(CapctlError) as failed:
        SetStatus(amis=scene.amis, name=ami.name, to=to).apply()
    assert failed.value.code == "ami-status-refused"
    assert ("`capctl ami bake --force`" in failed.value.hint) == bool(status and status.is_withdrawn)
    assert scene.amis.get(ami.id).status == status


def test_status_that_does_not_read_back_fails_the_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ami = scene.leave_unproven()
    step = SetStatus(amis=scene.amis, name=ami.name, to=AmiStatus.VERIFIED)
    monkeypatch.setattr(scene.amis, "tag", lambda *_: None)
    with pytest.raises(CapctlError, match="capctl:status=candidate") as failed:
        step.verify(step.apply())
    assert failed.value.code == "tags-not-set"


def candidate(scene: Scene) -> AmiId | None:
    entry = scene.ports.channels.read(CANDIDATE)
    return entry.ami_id if entry else None


def test_channel_candidate_names_what_was_baked_last(scene: Scene) -> None:
    first = scene.bake()
    assert candidate(scene) == first.id
    second = scene.bake(force=True)
    assert candidate(scene) == second.id


def test_candidate_names_the_ami_that_the_bake_returned_also_when_it_was_there_before(scene: Scene) -> None:
    first = scene.bake()
    scene.change_models({"models/age.onnx": b"other"})
    second = scene.bake()
    assert candidate(scene) == second.id != first.id
    scene.change_models(CONTENTS)
    plan = scene.plan()
    assert (names_of(plan), plan.because.endswith(f"channel candidate names {candidate(scene)}")) == (
        ["NameCandidate"],
        True,
    )
    again = scene.baked()
    assert (again.ami.id, again.is_changed, candidate(scene)) == (first.id, False, first.id)


def test_unchanged_bake_looks_at_the_channel_once_and_writes_nothing(scene: Scene) -> None:
    scene.bake()
    broken: Any = Broken(scene.ports, "channels")
    bake(broken, scene.target, RUN, force=False, carry_out=lambda plan: execute(plan, broken, RUN))
    assert broken.calls == ["channels.read"]


def test_candidate_never_names_an_ami_that_is_not_verified(scene: Scene) -> None:
    for step in scene.plan().steps:
        entry = scene.ports.channels.read(CANDIDATE)
        assert entry is None or scene.amis.get(entry.ami_id).is_proven
        step.apply()
    assert candidate(scene)
    left = scene.leave_unproven()
    refused = NameCandidate(ports=scene.ports, run=RUN, name=left.name)
    with pytest.raises(CapctlError, match="needs at least a verified one"):
        refused.apply()


@pytest.mark.parametrize("done", range(len(FINISH) + 1))
def test_bake_that_was_killed_after_any_step_is_finished_by_the_same_command(scene: Scene, done: int) -> None:
    """After the status that makes the next bake do nothing, that bake looks at the channel."""
    for step in scene.plan().steps[: done + 1]:
        step.apply()
    ami = scene.bake()
    assert (ami.status, candidate(scene), len(scene.baker.requests)) == (AmiStatus.VERIFIED, ami.id, 1)
    assert len(scene.ports.channels.history(CANDIDATE)) == 1


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("at", range(4))
def test_call_for_the_channel_that_fails_leaves_what_the_next_bake_finishes(
    scene: Scene, at: int, is_lost: bool
) -> None:
    broken: Any = Broken(scene.ports, "channels", at=at, is_lost=is_lost)
    with pytest.raises(Inconclusive):
        bake(broken, scene.target, RUN, force=False, carry_out=lambda plan: execute(plan, broken, RUN))
    ami = scene.bake()
    assert (candidate(scene), ami.status) == (ami.id, AmiStatus.VERIFIED)
    assert (len(scene.baker.requests), len(scene.ports.channels.history(CANDIDATE))) == (1, 1)


def test_of_two_bakes_of_different_content_the_later_one_wins_and_neither_fails(scene: Scene) -> None:
    *make, name_first = scene.plan().steps
    for step in make:
        step.verify(step.apply())
    result = name_first.apply()
    scene.change_models({"models/age.onnx": b"other"})
    second = scene.bake()
    name_first.verify(result)
    assert candidate(scene) == second.id


def test_bake_waits_while_another_moves_the_channel(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    write, refused = (
        scene.ports.channels.write,
        [CapctlError("channel-moved", "Somebody else moves it at this moment")] * 3,
    )

    def busy(*arguments: Any, **options: Any) -> int | None:
        if refused:
            raise refused.pop()
        return write(*arguments, **options)

    monkeypatch.setattr(scene.ports.channels, "write", busy)
    assert candidate(scene) is None
    assert scene.bake().id == candidate(scene)
    assert scene.ports.clock.slept


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
    scene.amis._own[left.id] = replace(left, tags={key: left.tags[key] for key in left.tags if key != Tag.MADE_BY})
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


def test_bake_refuses_before_an_instance_starts(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.change_models({"models/big.bin": b"x" * 1001})
    error = failure_of(scene)
    assert error.code == "payload-over-budget"
    assert "its largest file is `models/big.bin`" in error.message
    assert error.details == ("models/big.bin: 1001 bytes",)
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


def test_first_bake_says_that_nothing_is_proven_yet(scene: Scene) -> None:
    plan = scene.plan()
    assert "`vision` has no proven one yet" in plan.because
    digest = wanted_ami(scene.ports, scene.target).inputs.digest
    assert plan.details == (f"bake digest: {digest}", f"base AMI: {BASE_AMI} (SSM parameter `{BASE_PARAMETER}`)")


def test_plan_says_which_model_files_changed_since_the_newest_proven_ami(scene: Scene) -> None:
    ami = scene.bake()
    scene.change_models({"models/age.onnx": b"newer", "models/gender.onnx": b"gender"})
    plan = scene.plan()
    assert f"since `{ami.id}`, the newest that is proven, model set changed" in plan.because
    assert plan.because.endswith("(1 added, 1 removed, 1 changed)")
    assert plan.details[3:] == (
        "removed: checkpoints/llava/weights.bin, 7 B",
        "changed: models/age.onnx, 3 B -> 5 B",
        "added: models/gender.onnx, 6 B",
    )


def test_plan_says_that_the_base_ami_changed_and_reads_no_report_for_it(scene: Scene) -> None:
    scene.bake()
    other = scene.amis.add("another-base")
    scene.amis.parameters[BASE_PARAMETER] = other.id
    scene.remove_reports()
    plan = scene.plan()
    assert plan.because.endswith("base AMI changed")
    assert plan.details[2:] == (f"base AMI {BASE_AMI} -> {other.id}",)


def test_plan_of_changed_models_does_without_the_files_of_an_ami_that_lost_its_report(scene: Scene) -> None:
    scene.bake()
    scene.remove_reports()
    scene.change_models({"models/age.onnx": b"newer"})
    assert scene.plan().because.endswith("model set changed")


def test_forced_plan_says_that_there_is_an_ami_of_the_same_content(scene: Scene) -> None:
    ami = scene.bake()
    assert f"another AMI was asked for; `{ami.id}` is verified" in scene.plan(force=True).because
