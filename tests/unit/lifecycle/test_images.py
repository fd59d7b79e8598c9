"""Base, push and verify, on a registry in memory."""

from pathlib import Path

import pytest

from lifecycle.config.image_sections import ImageRulesSection, ImageSection
from lifecycle.config.target import Target
from lifecycle.domain.image_report import Rules, image_rejection
from lifecycle.domain.plan import Done, Plan
from lifecycle.errors import CapctlError
from lifecycle.workflows.build_base import base_image, plan_build_base
from lifecycle.workflows.execute import execute
from lifecycle.workflows.image_rules import image_rules
from lifecycle.workflows.push_image import PushCode, plan_push_image
from lifecycle.workflows.verify_image import verify_image
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target


def run(plan: Plan, ports: FakePorts) -> Done:
    return execute(plan, ports, RUN)


@pytest.fixture
def ports() -> FakePorts:
    """A registry that holds the base image."""
    made = FakePorts()
    made.base_builder.build()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return make_target(tmp_path)


def test_base_is_built_once_for_a_lock() -> None:
    ports = FakePorts()
    run(plan_build_base(ports), ports)
    again = plan_build_base(ports)
    assert again.steps == ()
    assert "is in the registry" in again.because
    assert ports.base_builder.builds == 1


def test_base_is_built_again_for_another_lock(ports: FakePorts) -> None:
    ports.base_builder.lock = "numpy==3"
    assert len(plan_build_base(ports).steps) == 1
    with pytest.raises(CapctlError) as caught:
        base_image(ports)
    assert caught.value.code == "base-missing"


def test_push_needs_a_base(target: Target) -> None:
    with pytest.raises(CapctlError) as caught:
        plan_push_image(FakePorts(), target)
    assert caught.value.code == "base-missing"
    assert "image base" in caught.value.hint


def test_push_of_the_same_code_is_unchanged(ports: FakePorts, target: Target) -> None:
    run(plan_push_image(ports, target), ports)
    pushed = run(plan_push_image(ports, target), ports).of(PushCode)
    assert pushed is not None
    assert pushed.unchanged


def test_image_of_the_working_tree_is_verified_unless_another_is_named(ports: FakePorts, target: Target) -> None:
    pushed = ports.code.push()
    ports.code.files["job.py"] = "print(2)"
    with pytest.raises(CapctlError) as caught:
        verify_image(ports, target, None)
    assert (caught.value.code, caught.value.hint) == ("image-missing", "Run `capctl image push`")
    for name in (str(pushed.ref), pushed.ref.digest):
        assert verify_image(ports, target, name).ref == pushed.ref


def test_clean_image_is_not_rejected(ports: FakePorts, target: Target) -> None:
    ports.code.push()
    report = verify_image(ports, target, None)
    assert report.ok
    assert image_rejection(report) is None


def test_rejection_names_every_broken_rule(ports: FakePorts, target: Target) -> None:
    ports.code.files |= {"a.onnx": "weights", "src/train.py": "train()"}
    ports.code.push()
    error = image_rejection(verify_image(ports, target, None))
    assert error is not None
    assert error.code == "image-rejected"
    assert "breaks 2 rules in 2 places" in error.message
    assert [detail.split(":")[0] for detail in error.details] == ["model-file", "forbidden-path"]
    assert all(", in layer 3 (" in detail for detail in error.details)


def test_rejection_shows_the_first_places_of_a_rule_and_counts_the_others(ports: FakePorts, target: Target) -> None:
    ports.code.files |= {f"{number:04}.onnx": "weights" for number in range(1234)} | {"src/train.py": "train()"}
    ports.code.push()
    error = image_rejection(verify_image(ports, target, None))
    assert error is not None
    assert "breaks 2 rules in 1235 places" in error.message
    assert [detail.split(":")[0] for detail in error.details] == [*["model-file"] * 11, "forbidden-path"]
    assert "`app/0000.onnx`" in error.details[0]
    assert error.details[10] == "model-file: 1224 more places, all listed by `-o json`"


def test_code_that_breaks_rules_is_refused_before_its_push_with_every_place(ports: FakePorts, target: Target) -> None:
    ports.code.files |= {f"{number}.onnx": "weights" for number in range(50)}
    with pytest.raises(CapctlError) as caught:
        plan_push_image(ports, target)
    assert caught.value.code == "image-rejected"
    assert {f"app/{number}.onnx" for number in range(50)} == {detail.split("`")[1] for detail in caught.value.details}
    assert ports.registry.find(ports.code.tag()) is None


def test_rules_are_those_of_the_target(ports: FakePorts, tmp_path: Path) -> None:
    ports.code.files |= {"a.onnx": "weights", "note.txt": "x" * 2000, "draft/x.py": "y"}
    rules = {
        "max_file_bytes": 1999,
        "large_files": ("app/note.txt",),
        "model_files": ("app/*.onnx",),
        "forbidden": ("draft/**",),
    }
    with pytest.raises(CapctlError) as caught:
        plan_push_image(ports, make_target(tmp_path, image={"rules": rules}))
    assert caught.value.details == ("forbidden-path: `app/draft/x.py` is not code of the job",)
    with pytest.raises(CapctlError) as caught:
        plan_push_image(ports, make_target(tmp_path, image={"rules": rules | {"large_files": (), "model_files": ()}}))
    assert [detail.split(":")[0] for detail in caught.value.details] == [
        "model-file",
        "oversized-file",
        "forbidden-path",
    ]


def test_every_rule_of_the_configuration_reaches_the_rules() -> None:
    chosen = ImageRulesSection(
        max_file_bytes=1,
        large_files=("2",),
        model_files=("3",),
        forbidden=("4",),
        not_secret=("5",),
        provided_modules=("six",),
        max_wasted_bytes=7,
        max_duplicate_bytes=8,
    )
    found = image_rules(
        ImageSection(rules=chosen), packages=frozenset({"nine==9"}), runtime_modules=frozenset({"torch"})
    )
    assert found == Rules(
        max_file_bytes=1,
        large_file_globs=("2",),
        model_globs_allowed=("3",),
        code_globs_forbidden=("4",),
        code_globs_without_secrets=("5",),
        runtime_modules=frozenset({"six", "torch"}),
        mounted_modules=frozenset({"torch"}),
        max_wasted_bytes=7,
        max_duplicate_bytes=8,
        allowed_packages=frozenset({"nine==9"}),
    )
    # Without a word in the file the rules are those of the package.
    assert image_rules(ImageSection()) == Rules()


def test_budgets_are_those_of_the_target(ports: FakePorts, tmp_path: Path) -> None:
    ports.code.push()
    report = verify_image(ports, make_target(tmp_path, image={"budget_compressed_bytes": 1}), None)
    assert [violation.code for violation in report.violations] == ["compressed-size-over-budget"]


def test_packages_are_those_of_the_lock(ports: FakePorts, target: Target) -> None:
    pushed = ports.code.push()
    ports.base_builder.lock = "numpy==3"
    violations = verify_image(ports, target, str(pushed.ref)).violations
    assert [violation.code for violation in violations] == ["package-not-locked", "package-missing"]


def test_without_a_lock_a_named_image_is_verified_but_for_its_packages_and_a_release_is_not(
    ports: FakePorts, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports.code.files["a.onnx"] = "weights"
    pushed = ports.code.push()

    def missing() -> frozenset[str]:
        raise CapctlError("requirements-missing", "The locked requirements `x` do not exist")

    monkeypatch.setattr(ports.base_builder, "packages", missing)
    report = verify_image(ports, target, str(pushed.ref), needs_lock=False)
    assert [violation.code for violation in report.violations] == ["model-file"]
    assert not report.packages_compared
    assert "warning: The packages of the image are compared with nothing" in "\n".join(ports.ui.lines)
    with pytest.raises(CapctlError, match="do not exist"):
        verify_image(ports, target, str(pushed.ref))


def test_code_whose_imports_fail_is_refused_before_its_push(ports: FakePorts, target: Target) -> None:
    ports.code.missing = [("app/job.py", "helper")]
    with pytest.raises(CapctlError) as caught:
        plan_push_image(ports, target)
    assert caught.value.details == ("import-unresolved: `app/job.py` imports `helper`",)
    rules = make_target(target.folder, image={"rules": {"provided_modules": ("helper",)}})
    assert plan_push_image(ports, rules).steps
