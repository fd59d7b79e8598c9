"""What is told and refused before a bake starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.adapters.model_files import FolderSource
from lifecycle.domain.ami import AmiId
from lifecycle.errors import ExitCode, UsageError
from lifecycle.workflows.bake import wanted_ami
from lifecycle.workflows.diff_amis import diff_amis
from tests.fakes.amis import BASE_AMI, BASE_PARAMETER
from tests.fakes.bakes import CONTENTS, Scene, failure_of


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_plan_tells_the_size_of_the_model_set_in_a_fitting_unit(scene: Scene) -> None:
    assert "(2 files, 10 B)" in scene.plan().render()


def test_unchanged_bake_has_no_steps_and_says_why(scene: Scene) -> None:
    ami = scene.bake()
    heads = scene.objects.heads
    plan = scene.plan()
    assert plan.steps == ()
    assert f"`{ami.id}` is verified" in plan.because
    assert scene.objects.heads == heads


def test_bake_refuses_before_an_instance_starts(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.change_models({"models/big.bin": b"x" * 1001})
    error = failure_of(scene)
    assert error.code == "payload-over-budget"
    assert "its largest file is `models/big.bin`" in error.message
    assert error.details == ("models/big.bin: 1001 bytes",)
    scene.change_models(CONTENTS)
    scene.amis.parameters[BASE_PARAMETER] = scene.amis.add("an-arm-base", architecture="arm64").id
    assert failure_of(scene).exit_code == ExitCode.USAGE
    scene.amis.parameters[BASE_PARAMETER] = BASE_AMI
    scene.objects.stored.clear()
    error = failure_of(scene)
    assert error.code == "object-missing"
    assert error.details == ("missing: checkpoints/llava/weights.bin", "missing: models/age.onnx")


def test_object_that_proves_nothing_is_told_from_one_that_is_missing(scene: Scene) -> None:
    uri = next(uri for uri, (data, _) in scene.objects.stored.items() if data == b"age")
    scene.objects.stored[uri] = (b"age", "")
    error = failure_of(scene)
    assert error.code == "object-missing"
    assert error.details == ("there, but without a SHA-256 that proves it: models/age.onnx",)
    assert scene.baker.requests == []


def test_bake_is_refused_where_a_program_that_it_needs_is_missing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.baker.lacks = UsageError("session-manager-plugin-missing", "not installed")
    assert failure_of(scene) is scene.baker.lacks


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("/no/such/parameter", ""),
        ("foo", "Write `ami-…`, or a name that begins with `/`"),
        ("ssm:/aws/service/ecs/base", "Write the name alone: `/aws/service/ecs/base`"),
        ("/holds/json", "Name the parameter that holds the id alone, such as one whose name ends in `/image_id`"),
        ("ami-0123456789abcdef0", "Set `ami.base` to an AMI that this account may start there, or to an SSM parameter"),
        ("/names/nothing", "Set `ami.base` to an AMI that this account may start there, or to an SSM parameter"),
    ],
)
def test_unknown_base_ami_is_told_as_a_mistake_of_ami_base(tmp_path: Path, base: str, told: str) -> None:
    scene = Scene(tmp_path, base=base)
    named = {"/holds/json": '{"image_id": "ami-1"}', "/names/nothing": "ami-0123456789abcdef0"}
    scene.amis.parameters.update({name: AmiId(value) for name, value in named.items()})
    error = failure_of(scene)
    assert (error.code, error.exit_code) == ("base-ami-unknown", ExitCode.USAGE)
    assert error.hint.startswith(told)


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


def test_forced_plan_names_the_ami_of_the_same_content_also_when_it_is_not_the_newest(scene: Scene) -> None:
    ami = scene.bake()
    scene.change_models({"models/age.onnx": b"newer"})
    scene.bake()
    scene.change_models(CONTENTS)
    plan = scene.plan(force=True)
    assert f"another AMI was asked for; `{ami.id}` is verified" in plan.because
    assert len(plan.details) == 2


def test_bake_and_diff_say_that_the_lock_is_taken_as_it_is_when_the_source_lists_other_files(
    scene: Scene, tmp_path: Path
) -> None:
    ami = scene.bake()
    for path, data in (CONTENTS | {"models/gender.onnx": b"new"}).items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(data)
    scene.ports.model_source = FolderSource(tmp_path / "source", exclude=())
    for look in (scene.plan, lambda: diff_amis(scene.ports, scene.target, ami.id, None)):
        scene.ports.ui.lines.clear()
        look()
        assert "in 1 file by name or size, such as `models/gender.onnx`" in scene.ports.ui.lines[0]
