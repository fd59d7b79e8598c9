"""What a job was submitted with, read out of what Batch tells of it and of its definition."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.adapters.aws.job_submissions import submission
from lifecycle.domain.job import Purpose

NEEDS = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "15000"}]
RULES = {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "EXIT"}]}
DEFINITION: dict[str, Any] = {
    "jobDefinitionArn": "d:1",
    "timeout": {"attemptDurationSeconds": 3600},
    "retryStrategy": RULES,
    "parameters": {},
    "containerProperties": {
        "image": "i",
        "command": [],
        "environment": [{"name": "MODEL_SET", "value": "old"}, {"name": "FPS", "value": "5"}],
        "resourceRequirements": NEEDS,
    },
}


def job(**changed: Any) -> dict[str, Any]:
    """As DescribeJobs tells one that was submitted with a session and nothing else."""
    container = {
        "image": "i",
        "command": [],
        "environment": [
            {"name": "SESSION_ID", "value": "s"},
            {"name": "FPS", "value": "5"},
            {"name": "MODEL_SET", "value": "old"},
        ],
        "resourceRequirements": NEEDS[::-1],
    }
    told = {
        "jobId": "1",
        "jobName": "vision-s",
        "status": "RUNNABLE",
        "jobQueue": "q",
        "jobDefinition": "d:1",
        "dependsOn": [],
        "parameters": {},
        "timeout": {"attemptDurationSeconds": 3600},
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onReason": "*", "action": "exit"}]},
        "tags": {"capctl:purpose": "work", "capctl:run": "r", "aws:batch:x": "y"},
        "container": container | changed.pop("container", {}),
    }
    return told | changed


def test_what_the_definition_says_is_not_asked_for_again() -> None:
    found = submission(job(), DEFINITION)
    assert found.request.environment == {"SESSION_ID": "s"}
    assert found.request.tags == {"capctl:run": "r"}
    assert (found.request.name, found.request.purpose, found.request.timeout_s) == ("vision-s", Purpose.WORK, None)
    assert (found.special, found.waits_for) == ((), ())


def test_what_the_job_says_otherwise_is() -> None:
    environment = [{"name": "FPS", "value": "10"}, {"name": "AWS_BATCH_JOB_ID", "value": "1"}]
    told = job(container={"environment": environment}, timeout={"attemptDurationSeconds": 60})
    found = submission(told, DEFINITION)
    assert (found.request.environment, found.request.timeout_s) == ({"FPS": "10"}, 60)


@pytest.mark.parametrize(
    ("changed", "special"),
    [
        ({"arrayProperties": {"size": 2}}, "an array"),
        ({"nodeProperties": {"isMainNode": True}}, "nodes"),
        ({"shareIdentifier": "team"}, "a share identifier"),
        ({"container": {"command": ["sh"]}}, "a command"),
        ({"parameters": {"a": "b"}}, "parameters"),
        ({"container": {"resourceRequirements": [{"type": "VCPU", "value": "8"}]}}, "resources"),
        ({"retryStrategy": {"attempts": 1}}, "retries"),
    ],
)
def test_settings_that_cannot_be_submitted_again_are_named(changed: dict[str, Any], special: str) -> None:
    assert submission(job(**changed), DEFINITION).special == (special,)


def test_jobs_that_it_waits_for_are_told() -> None:
    assert submission(job(dependsOn=[{"jobId": "2"}, {"type": "SEQUENTIAL"}]), DEFINITION).waits_for == ("2",)


def test_without_its_definition_everything_is_the_job_s_own() -> None:
    found = submission(job(), None)
    assert set(found.request.environment) == {"SESSION_ID", "FPS", "MODEL_SET"}
    assert found.special == ("resources", "retries")


def test_no_retries_are_one_attempt() -> None:
    definition = {**DEFINITION, "retryStrategy": None}
    assert submission(job(retryStrategy={"attempts": 1, "evaluateOnExit": []}), definition).special == ()
