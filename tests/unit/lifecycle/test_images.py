"""Base, push and verify, on a registry in memory."""

import pytest

from lifecycle.domain.plan import Done, Plan
from lifecycle.errors import CapctlError
from lifecycle.ports.images import Violation
from lifecycle.workflows.build_base import plan_build_base
from lifecycle.workflows.execute import execute
from lifecycle.workflows.push_image import PushCode, plan_push_image
from lifecycle.workflows.verify_image import rejection
from tests.fakes.images import FakeImages
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN


def ports_with(images: FakeImages) -> FakePorts:
    return FakePorts(images=images)


def run(plan: Plan, images: FakeImages) -> Done:
    return execute(plan, ports_with(images), RUN)


def test_base_is_built_once_for_a_lock() -> None:
    images = FakeImages()
    run(plan_build_base(ports_with(images)), images)
    again = plan_build_base(ports_with(images))
    assert again.steps == ()
    assert "is in the registry" in again.because
    assert images.builds == 1


def test_base_is_built_again_for_another_lock() -> None:
    images = FakeImages()
    run(plan_build_base(ports_with(images)), images)
    images.lock = "numpy==3"
    assert len(plan_build_base(ports_with(images)).steps) == 1


def test_push_needs_a_base() -> None:
    with pytest.raises(CapctlError) as caught:
        plan_push_image(ports_with(FakeImages()))
    assert caught.value.code == "base-missing"
    assert "image base" in caught.value.hint


def test_push_of_the_same_code_is_unchanged() -> None:
    images = FakeImages()
    images.build_base()
    run(plan_push_image(ports_with(images)), images)
    pushed = run(plan_push_image(ports_with(images)), images).of(PushCode)
    assert pushed is not None
    assert pushed.unchanged


def test_push_fails_when_the_code_changes_under_it() -> None:
    images = FakeImages()
    images.build_base()
    plan = plan_push_image(ports_with(images))
    images.code = "print(2)"
    with pytest.raises(CapctlError) as caught:
        run(plan, images)
    assert caught.value.code == "code-changed"


def test_rejection_names_every_broken_rule() -> None:
    images = FakeImages(
        violations=(
            Violation(code="model-file", message="`app/a.onnx` is a model file", path="app/a.onnx"),
            Violation(code="secret-found", message="`app/b.py` seems to hold a secret", path="app/b.py"),
        )
    )
    images.build_base()
    report = images.inspect(images.push_code().ref)
    error = rejection(report)
    assert error is not None
    assert error.code == "image-rejected"
    assert len(error.details) == 2


def test_clean_image_is_not_rejected() -> None:
    images = FakeImages()
    images.build_base()
    assert rejection(images.inspect(images.push_code().ref)) is None
