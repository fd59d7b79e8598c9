"""Bake and verify, on AMIs and objects in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.ami import REQUIRED_TAGS, AmiId, AmiRecord, AmiState, AmiStatus, Tag
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, ExitCode, UsageError
from lifecycle.ports.baker import AmiNameTaken
from lifecycle.workflows.ami_status import SetStatus
from lifecycle.workflows.bake import Baked, bake, plan_bake, wanted_ami
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.model_objects import object_uri
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.fakes.amis import BASE_AMI, BASE_PARAMETER, FakeAmis
from tests.fakes.baker import FakeBaker
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target

CONTENTS = {"models/age.onnx": b"age", "checkpoints/llava/weights.bin": b"weights"}


class Scene:
    """A locked and pushed model set, and an account that holds a base AMI."""

    def __init__(self, folder: Path, *, damage: Callable[[dict[str, Any]], None] = lambda _: None, **ami: Any) -> None:
        self.target = make_target(folder, ami={"base": BASE_PARAMETER, **ami}, models={"budget_bytes": 1000})
        self.amis = FakeAmis()
        self.baker = FakeBaker(self.amis, damage=damage)
        self.objects = FakeObjects(self.target.bucket)
        self.ports = FakePorts(amis=self.amis, baker=self.baker, objects=self.objects)
        self.lock = self.ports.model_lock
        self.change_models(CONTENTS)

    def change_models(self, contents: dict[str, bytes]) -> None:
        files = []
        for path, data in contents.items():
            sha256 = digest_of(data).removeprefix("sha256:")
            files.append(ModelFile(path=path, bytes=len(data), sha256=sha256))
            self.objects.stored[object_uri(self.target, files[-1])] = (data, sha256)
        self.lock.write(model_set(tuple(files)))

    def plan(self, *, force: bool = False) -> Plan:
        """What `--dry-run` shows."""
        plans: list[Plan] = []
        assert bake(self.ports, self.target, RUN, force=force, carry_out=plans.append) is None
        return plans[0]

    def bake(self, *, force: bool = False) -> AmiRecord:
        return self.baked(force=force).ami

    def baked(self, *, force: bool = False) -> Baked:
        baked = bake(self.ports, self.target, RUN, force=force, carry_out=lambda plan: execute(plan, self.ports, RUN))
        assert baked is not None
        return baked

    def reports(self) -> list[str]:
        """Where reports of instances are kept."""
        return [uri for uri in self.objects.stored if "/evidence/" in uri]

    def remove_reports(self) -> None:
        for uri in self.reports():
            del self.objects.stored[uri]

    def mark(self, ami_id: AmiId, status: str) -> None:
        self.amis.tag(ami_id, {Tag.STATUS.value: status})

    def leave_unproven(self) -> AmiRecord:
        """What a run leaves that was killed after the bake."""
        ami = self.bake()
        self.mark(ami.id, AmiStatus.CANDIDATE)
        return ami


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def names_of(plan: Plan) -> list[str]:
    return [type(step).__name__ for step in plan.steps]


FINISH = ["TagInputs", "SetStatus", "RequireImdsV2", "ProveAmi", "SetStatus"]


def test_bake_ends_with_a_verified_ami_that_tells_what_went_into_it(scene: Scene) -> None:
    ami = scene.bake()
    inputs = wanted_ami(scene.ports, scene.target).inputs
    assert ami.status is AmiStatus.VERIFIED
    assert ami.imds_v2
    assert ami.tags[Tag.BASE_AMI] == BASE_AMI
    assert ami.tags[Tag.BAKE_DIGEST] == inputs.digest
    assert ami.tags[Tag.MODEL_SET] == inputs.model_set
    assert ami.tags[Tag.RUN] == RUN.id
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


@pytest.mark.parametrize("status", [AmiStatus.DISABLED, AmiStatus.DEREGISTERED])
@pytest.mark.parametrize("has_report", [True, False])
def test_bake_neither_revives_nor_removes_an_ami_that_was_withdrawn(
    scene: Scene, status: AmiStatus, has_report: bool
) -> None:
    ami = scene.bake()
    scene.mark(ami.id, status)
    if not has_report:
        scene.remove_reports()
    error = failure_of(scene)
    assert (error.code, "was withdrawn" in error.message) == ("ami-not-replaced", True)
    other = scene.bake(force=True)
    assert other.name == f"{ami.name}-{RUN.id}"
    assert scene.amis.get(ami.id).status is status
    assert scene.bake().id == other.id


def test_ami_of_a_release_is_not_replaced_whatever_its_tag_says(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    scene.ports.stack.stand(replace(RELEASE, ami_id=left.id))
    error = failure_of(scene)
    assert (error.code, f"release `{RELEASE.id}`" in error.message) == ("ami-not-replaced", True)
    assert scene.bake(force=True).id != left.id
    assert scene.amis.get(left.id).name == left.name


def test_ami_is_not_replaced_where_the_releases_cannot_be_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.leave_unproven()
    scene.remove_reports()
    unreadable = CapctlError("stack-failed", "the state cannot be read")

    def releases(_: object) -> None:
        raise unreadable

    monkeypatch.setattr(FakeStack, "releases", releases)
    assert failure_of(scene) is unreadable


def test_target_without_a_base_stack_has_no_releases_that_use_an_ami(scene: Scene) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    scene.ports.stack.bootstrapped = False
    assert scene.bake().id != left.id


@pytest.mark.parametrize("change", ["status", "state", "release"])
def test_ami_that_came_into_use_after_the_plan_is_not_removed(scene: Scene, change: str) -> None:
    left = scene.leave_unproven()
    scene.remove_reports()
    plan = scene.plan()
    if change == "status":
        scene.mark(left.id, AmiStatus.VERIFIED)
    elif change == "state":
        scene.amis.change(left.id, state=AmiState.DISABLED)
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


def test_name_of_an_ami_that_is_still_shown_as_deregistered_is_free(scene: Scene) -> None:
    left = scene.bake()
    scene.mark(left.id, AmiStatus.CANDIDATE)
    scene.amis.change(left.id, state=AmiState.DEREGISTERED)
    assert scene.bake().id != left.id


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


def failure_of(scene: Scene) -> CapctlError:
    with pytest.raises(CapctlError) as failed:
        scene.plan()
    return failed.value


@pytest.mark.parametrize(
    ("tag", "check"),
    [
        (Tag.MODEL_SET, "payload digest"),
        (Tag.BAKE_DIGEST, "bake digest"),
        (Tag.EVIDENCE, "payload evidence"),
        (Tag.STATUS, "tags"),
    ],
)
def test_verify_finds_a_tag_that_was_changed(scene: Scene, tag: Tag, check: str) -> None:
    ami = scene.bake()
    scene.amis.tag(ami.id, {tag.value: "" if tag is Tag.STATUS else digest_of(b"forged")})
    assert check in [failed.name for failed in verify_ami(scene.ports, scene.target, ami.id).failed]


def test_verify_finds_a_report_that_was_changed(scene: Scene) -> None:
    ami = scene.bake()
    for uri in scene.reports():
        scene.objects.write(uri, scene.objects.stored[uri][0].replace(b"age.onnx", b"AGE.onnx"))
    assert {check.name for check in verify_ami(scene.ports, scene.target, ami.id).failed} == {
        "payload evidence",
        "payload digest",
    }


def test_copy_passes_by_the_report_that_its_tag_names(scene: Scene) -> None:
    ami = scene.bake()
    copy = scene.amis.add(f"{ami.name}-copy", tags=ami.tags)
    scene.amis.require_imds_v2(copy.id)
    assert ami_rejection(verify_ami(scene.ports, scene.target, copy.id)) is None


def test_ami_whose_report_was_kept_under_its_instance_only_passes(scene: Scene) -> None:
    ami = scene.bake()
    (by_digest,) = [uri for uri in scene.reports() if uri.endswith(f"/{ami.tags[Tag.EVIDENCE][7:]}.json")]
    del scene.objects.stored[by_digest]
    assert ami_rejection(verify_ami(scene.ports, scene.target, ami.id)) is None


def test_report_of_another_instance_proves_nothing(scene: Scene) -> None:
    ami = scene.bake()
    other = scene.amis.add(f"{ami.name}-other", instance_id="i-0ther", tags=ami.tags)
    failed = verify_ami(scene.ports, scene.target, other.id).failed
    assert "payload evidence" in [check.name for check in failed]


def test_state_that_ec2_has_learnt_since_is_neither_usable_nor_a_crash(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.change(ami.id, state=AmiState("hibernating"))
    assert not scene.amis.get(ami.id).is_proven


def test_bake_sets_the_tags_that_verify_requires_and_no_others(scene: Scene) -> None:
    ami = scene.bake()
    assert ami.tags.keys() - {"Name", Tag.GIT} == set(REQUIRED_TAGS)


def test_verify_of_a_foreign_ami_fails_without_a_traceback(scene: Scene) -> None:
    error = ami_rejection(verify_ami(scene.ports, scene.target, BASE_AMI))
    assert error is not None
    assert error.code == "ami-not-verified"
    assert any("no report of the instance" in line for line in error.details)


def test_list_shows_the_projects_amis_newest_first(scene: Scene) -> None:
    first = scene.bake()
    scene.change_models({**CONTENTS, "models/age.onnx": b"new"})
    second = scene.bake()
    scene.amis.add("foreign", tags={Tag.PROJECT.value: "another"})
    assert [ami.id for ami in list_amis(scene.ports, scene.target)] == [second.id, first.id]
    assert list_amis(scene.ports, scene.target, status=AmiStatus.CANDIDATE) == ()
