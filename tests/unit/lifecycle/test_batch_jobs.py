"""Batch's words for a job in ours."""

from typing import Any

import pytest

from lifecycle.adapters.aws.jobs import _record
from lifecycle.domain.job import Obstacle, Purpose

JOB: dict[str, Any] = {
    "jobId": "1",
    "jobName": "smoke-tests-1",
    "status": "RUNNABLE",
    "jobQueue": "q",
    "jobDefinition": "d",
}


@pytest.mark.parametrize(
    ("reason", "obstacle"),
    [
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", Obstacle.CAPACITY),
        ("Host EC2 (instance i-0abc) terminated.", Obstacle.CAPACITY),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no GPU", Obstacle.MISCONFIGURED),
        ("Essential container in task exited", None),
        ("", None),
        (None, None),
    ],
)
def test_reason_says_whether_the_fleet_is_in_the_way(reason: str | None, obstacle: Obstacle | None) -> None:
    assert _record({**JOB, "statusReason": reason}).obstacle is obstacle


@pytest.mark.parametrize(
    ("tags", "purpose"),
    [
        ({"capctl:purpose": "smoke"}, Purpose.SMOKE),
        ({"capctl:purpose": "work"}, Purpose.WORK),
        ({"capctl:purpose": "smokes"}, Purpose.WORK),
        ({}, Purpose.WORK),
        (None, Purpose.WORK),
    ],
)
def test_purpose_is_what_the_tag_says_and_never_the_name(tags: dict[str, str] | None, purpose: Purpose) -> None:
    assert _record({**JOB, "tags": tags}).purpose is purpose
