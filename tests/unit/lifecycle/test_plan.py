"""A plan as text and as a document."""

import json
from dataclasses import dataclass

import pytest

from lifecycle.cli.context import Invocation
from lifecycle.domain.plan import Plan
from tests.golden import assert_golden


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStep:
    name: str
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"set {self.name}: old -> new"

    def apply(self) -> str:
        return "set"

    def verify(self, _: str) -> None:
        return


@pytest.fixture
def invocation() -> Invocation:
    return Invocation()


PLAN = Plan(
    title="promote release 0123456789ab",
    because="its smoke job passed",
    details=("smoke job: 8 tracks", "image: changed"),
    steps=(
        SetStep(name="pointer", permissions=("dynamodb:PutItem", "dynamodb:GetItem")),
        SetStep(name="channel", permissions=("ssm:PutParameter",)),
    ),
    after=(SetStep(name="retention", permissions=("batch:ListJobs",)),),
    undo=(SetStep(name="pointer back", permissions=("dynamodb:PutItem",)),),
)


def test_a_plan_reads_as_numbered_steps_with_its_reason() -> None:
    assert_golden("plan.txt", PLAN.render() + "\n")


def test_a_plan_of_steps_alone_says_nothing_about_failure() -> None:
    assert len(Plan(title="t", because="b", steps=PLAN.steps).render().splitlines()) == 2 + len(PLAN.steps)


def test_a_dry_run_prints_the_plan_and_asks_for_no_target(
    invocation: Invocation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invocation.execute(PLAN, dry_run=True) is None
    assert_golden("plan-dry-run.txt", capsys.readouterr().out)


def test_a_dry_run_with_nothing_to_do_says_so(invocation: Invocation, capsys: pytest.CaptureFixture[str]) -> None:
    invocation.execute(Plan(title="bake", because="AMI `ami-1` has this bake digest"), dry_run=True)
    assert_golden("plan-empty.txt", capsys.readouterr().out)


def test_a_dry_run_as_a_document_names_its_steps_and_each_permission_once(
    invocation: Invocation, capsys: pytest.CaptureFixture[str]
) -> None:
    invocation.output = "json"
    invocation.execute(PLAN, dry_run=True)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "capctl.plan/1"
    assert document["steps"][1] == {"step": "set channel: old -> new"}
    assert document["permissions"] == ["batch:ListJobs", "dynamodb:GetItem", "dynamodb:PutItem", "ssm:PutParameter"]
    assert [step["step"] for step in document["after"]] == ["set retention: old -> new"]
    assert [step["step"] for step in document["undo"]] == ["set pointer back: old -> new"]
