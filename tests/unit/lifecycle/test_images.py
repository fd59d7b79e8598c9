"""Base, push and verify, on a registry in memory."""

from types import SimpleNamespace
from typing import cast

import pytest

from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.images import Violation
from lifecycle.workflows.build_base import plan_build_base
from lifecycle.workflows.push_image import PushCode, plan_push_image
from lifecycle.workflows.verify_image import rejection
from tests.fakes.images import FakeImages


def ports_with(images: FakeImages) -> Ports:
    return cast(Ports, SimpleNamespace(images=images))


def apply_all(steps: tuple[object, ...]) -> None:
    for step in steps:
        step.apply()  # type: ignore[attr-defined]
        step.verify()  # type: ignore[attr-defined]


def test_base_is_built_once_for_a_lock() -> None:
    images = FakeImages()
    apply_all(plan_build_base(ports_with(images)).steps)
    again = plan_build_base(ports_with(images))
    assert again.steps == ()
    assert "is in the registry" in again.because
    assert images.builds == 1


def test_base_is_built_again_for_another_lock() -> None:
    images = FakeImages()
    apply_all(plan_build_base(ports_with(images)).steps)
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
    apply_all(plan_push_image(ports_with(images)).steps)
    plan = plan_push_image(ports_with(images))
    apply_all(plan.steps)
    (step,) = plan.steps
    assert isinstance(step, PushCode)
    assert step.pushed is not None
    assert step.pushed.unchanged


def test_push_fails_when_the_code_changes_under_it() -> None:
    images = FakeImages()
    images.build_base()
    (step,) = plan_push_image(ports_with(images)).steps
    images.code = "print(2)"
    step.apply()
    with pytest.raises(CapctlError) as caught:
        step.verify()
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
