"""Bootstrap makes the base once and loses nothing of it."""

from pathlib import Path

import pytest

from lifecycle.errors import CapctlError
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.bootstrap import plan_bootstrap
from lifecycle.workflows.execute import execute
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack
from tests.fakes.targets import make_target

TARGET = make_target(Path())


def test_bootstrap_creates_once() -> None:
    ports = FakePorts(stack=FakeStack(bootstrapped=False))
    execute(plan_bootstrap(ports, TARGET), ports, RUN)
    assert plan_bootstrap(ports, TARGET).steps == ()


@pytest.mark.parametrize("kind", ["aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:iam/rolePolicy:RolePolicy"])
def test_what_holds_nothing_may_go(kind: str) -> None:
    ports = FakePorts()
    ports.stack.surprise = (ResourceChange(operation=Operation.DELETE, type=kind, name="one"),)
    assert plan_bootstrap(ports, TARGET).steps


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("aws:ec2/subnet:Subnet", "Set the keys of `network` back"),
        ("aws:ecr/repository:Repository", "Set `image.repository` and `image.registry.kms_key_arn` back"),
        ("aws:sqs/queue:Queue", "Keep the project's name"),
    ],
)
def test_refusal_names_the_way_back(kind: str, words: str) -> None:
    ports = FakePorts()
    ports.stack.surprise = (ResourceChange(operation=Operation.REPLACE, type=kind, name="one"),)
    with pytest.raises(CapctlError) as failed:
        plan_bootstrap(ports, TARGET)
    assert failed.value.code == "base-would-lose"
    assert words in failed.value.hint


def test_bootstrap_refuses_to_lose_anything() -> None:
    ports = FakePorts()
    ports.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type="aws:dynamodb/table:Table", name="pointers"),
    )
    with pytest.raises(CapctlError) as failed:
        plan_bootstrap(ports, TARGET)
    assert failed.value.code == "base-would-lose"
