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


def test_bootstrap_refuses_to_lose_anything() -> None:
    ports = FakePorts()
    ports.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type="aws:dynamodb/table:Table", name="pointers"),
    )
    with pytest.raises(CapctlError) as failed:
        plan_bootstrap(ports, TARGET)
    assert failed.value.code == "base-would-lose"
