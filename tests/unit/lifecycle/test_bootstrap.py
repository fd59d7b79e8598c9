"""Bootstrap makes the base once and loses nothing of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.config.schema import NetworkSection
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange
from lifecycle.workflows.bootstrap import plan_bootstrap
from lifecycle.workflows.execute import execute
from tests.failures import failure
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.fakes.targets import make_target

TARGET = make_target(Path())


def test_bootstrap_creates_once() -> None:
    ports = FakePorts(stack=FakeStack(bootstrapped=False))
    execute(plan_bootstrap(ports, TARGET, RUN), ports, RUN)
    assert plan_bootstrap(ports, TARGET, RUN).steps == ()


@pytest.mark.parametrize(
    ("settings", "is_told"),
    [
        ({"release": replace(TARGET.settings.release, subnet_ids=())}, True),
        ({"release": replace(TARGET.settings.release, subnet_ids=("subnet-1",))}, False),
        ({"release": replace(TARGET.settings.release, subnet_ids=()), "network": NetworkSection(create=True)}, False),
    ],
)
def test_bootstrap_tells_of_a_network_that_a_deploy_will_miss(settings: dict[str, Any], is_told: bool) -> None:
    ports = FakePorts()
    plan_bootstrap(ports, replace(TARGET, settings=replace(TARGET.settings, **settings)), RUN)
    assert any("No network is configured" in line for line in ports.ui.lines) is is_told


def needing_an_update() -> FakePorts:
    ports = FakePorts()
    ports.stack.surprise = (ResourceChange(operation=Operation.UPDATE, type="aws:sqs/queue:Queue", name="one"),)
    return ports


def test_bootstrap_takes_the_turn_and_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ports, had = needing_an_update(), []

    def apply_base() -> BaseOutputs:
        assert ports.deployments.now
        had.append(ports.deployments.now.holder.run_id)
        ports.stack.surprise = ()
        return OUTPUTS

    monkeypatch.setattr(ports.stack, "apply_base", apply_base)
    execute(plan_bootstrap(ports, TARGET, RUN), ports, RUN)
    assert (had, ports.deployments.now, ports.deployments.turns) == ([RUN.id], None, 1)
    # One that has nothing to do waits for nobody.
    with ports.deployments.turn("another-run", "capctl deploy"):
        execute(plan_bootstrap(ports, TARGET, RUN), ports, RUN)
    assert ports.deployments.recent(5) == ()


def test_bootstrap_changes_nothing_while_another_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = needing_an_update()
    monkeypatch.setattr(ports.stack, "apply_base", lambda: pytest.fail("the base stack was changed"))
    plan = plan_bootstrap(ports, TARGET, RUN)
    with ports.deployments.turn("another-run", "capctl deploy"):
        assert failure(lambda: execute(plan, ports, RUN)).code == "deploy-locked"


def test_bootstrap_that_lost_its_turn_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = needing_an_update()
    guard = plan_bootstrap(ports, TARGET, RUN).guard
    assert guard
    with guard:
        assert ports.deployments.now
        ports.deployments.now.is_lost = True
        (step,) = plan_bootstrap(ports, TARGET, RUN).steps
        assert failure(lambda: guard.before(step)).code == "turn-lost"


def test_first_bootstrap_makes_the_table_of_the_turn_without_one() -> None:
    ports = FakePorts(stack=FakeStack(bootstrapped=False))
    ports.deployments.has_table = False
    execute(plan_bootstrap(ports, TARGET, RUN), ports, RUN)
    assert (ports.stack.bootstrapped, ports.deployments.turns) == (True, 0)


@pytest.mark.parametrize("kind", ["aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:iam/rolePolicy:RolePolicy"])
def test_what_holds_nothing_may_go(kind: str) -> None:
    ports = FakePorts()
    ports.stack.surprise = (ResourceChange(operation=Operation.DELETE, type=kind, name="one"),)
    assert plan_bootstrap(ports, TARGET, RUN).steps


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
        plan_bootstrap(ports, TARGET, RUN)
    assert failed.value.code == "base-would-lose"
    assert words in failed.value.hint


def test_bootstrap_refuses_to_lose_anything() -> None:
    ports = FakePorts()
    ports.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type="aws:dynamodb/table:Table", name="pointers"),
    )
    with pytest.raises(CapctlError) as failed:
        plan_bootstrap(ports, TARGET, RUN)
    assert failed.value.code == "base-would-lose"
