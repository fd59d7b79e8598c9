"""`capctl bootstrap`."""

from dataclasses import replace

import pytest

from lifecycle.ports.stack import Operation, ResourceChange
from tests.fakes.stack import OUTPUTS
from tests.unit.lifecycle.commands.case import Case, Play, World

TEXT = f"""\
bucket            {OUTPUTS.bucket}
repository        {OUTPUTS.repository}
table             {OUTPUTS.table}
log group         {OUTPUTS.log_group}
job role          {OUTPUTS.job_role_arn}
execution role    {OUTPUTS.execution_role_arn}
instance profile  {OUTPUTS.instance_profile_arn}
queue             {OUTPUTS.queue_url}
dead letters      {OUTPUTS.dead_letters_url}
tasks             {OUTPUTS.tasks_table}"""

IN_A_NETWORK = f"""{TEXT}
subnets           subnet-8, subnet-9
security groups   sg-9"""


def losing_the_table(world: World) -> None:
    world.ports.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type="aws:dynamodb/table:Table", name="pointers"),
    )


def with_a_network(world: World) -> None:
    world.ports.stack.outputs = replace(OUTPUTS, subnet_ids=("subnet-8", "subnet-9"), security_group_ids=("sg-9",))


CASES = [
    Case(
        words="bootstrap",
        asked=("deployments.turn", "stack.apply_base"),
        text=TEXT,
        document={"schema": "capctl.base/1", "bucket": OUTPUTS.bucket, "changed": True},
        said="✓ compare the base stack with what is declared",
    ),
    Case(
        words="bootstrap",
        change=with_a_network,
        asked=("deployments.turn", "stack.apply_base"),
        text=IN_A_NETWORK,
        document={"subnet_ids": ["subnet-8", "subnet-9"], "security_group_ids": ["sg-9"]},
    ),
    Case(
        words="bootstrap",
        given=("bootstrap",),
        text=TEXT,
        document={"changed": False},
        said="update the base stack: it is as it should be",
    ),
    Case(
        words="bootstrap --dry-run",
        text="""\
Plan: update the base stack
  because it differs from what is declared
  1. base stack: create 1
Nothing was changed; run again without `--dry-run` to apply""",
        document={"schema": "capctl.plan/1", "undo": []},
    ),
    Case(words="bootstrap", change=losing_the_table, code=1, error="base-would-lose"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bootstrap(case: Case, played: Play) -> None:
    played(case)
