"""`capctl drift`."""

import pytest

from lifecycle.errors import Denied
from tests.unit.lifecycle.commands.case import DEPLOYED, Case, Play, World

ID = "c3db89e8ed06"
MEND = "mend what is told; where AWS refused, the role needs the row of `capctl drift` in docs/iam.md"
NAME = f"vision-{ID}"


def disable_the_queue(world: World) -> None:
    (release,) = world.ports.stack.releases()
    world.ports.compute.changed[release.job_queue_arn] = {"is_enabled": False}


def refuse_the_templates(world: World) -> None:
    world.ports.compute.refused["templates"] = Denied("permission-denied", "AWS refused to list launch templates")


CASES = [
    Case(
        words="drift",
        given=DEPLOYED,
        text="no drift, 1 release looked at",
        document={"schema": "capctl.drift/1", "drifted": False, "complete": True, "releases": 1, "differences": []},
    ),
    Case(
        words="drift",
        code=1,
        error="drifted",
        text="""\
       what        expected                                        found                 next
fault  base stack  bucket, repository, table, log group and roles  an output is missing  `capctl bootstrap`
0 releases looked at""",
        document={"schema": "capctl.drift/1", "drifted": True},
    ),
    Case(
        words="drift",
        given=DEPLOYED,
        change=disable_the_queue,
        code=1,
        error="drifted",
        text=f"""\
       what                       expected  found     next
fault  queue {NAME}  ENABLED   DISABLED  `aws batch update-job-queue --job-queue {NAME} --state ENABLED`
1 release looked at""",
        document={
            "schema": "capctl.drift/1",
            "drifted": True,
            "complete": True,
            "differences": [
                {
                    "severity": "fault",
                    "code": "queue-disabled",
                    "release_id": ID,
                    "what": f"queue {NAME}",
                    "expected": "ENABLED",
                    "found": "DISABLED",
                    "next": f"`aws batch update-job-queue --job-queue {NAME} --state ENABLED`",
                }
            ],
        },
    ),
    Case(
        words="drift",
        given=DEPLOYED,
        change=refuse_the_templates,
        code=3,
        error="drift-unproven",
        text=f"""\
{"":6}  {"what":16}  expected   {"found":36}  next
unread  launch templates  looked at  AWS refused to list launch templates  {MEND}
1 release looked at""",
        document={"schema": "capctl.drift/1", "drifted": False, "complete": False},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_drift(case: Case, played: Play) -> None:
    played(case)
