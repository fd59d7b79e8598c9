"""What a job was submitted with, read out of what Batch tells of it and of its definition."""

from __future__ import annotations

from typing import Any

import botocore.session
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


SHARED = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]}
# By the member of SubmitJob that makes DescribeJobs tell it.
SPECIAL: dict[str, tuple[dict[str, Any], str]] = {
    "arrayProperties": ({"arrayProperties": {"size": 2}}, "an array"),
    "consumableResourcePropertiesOverride": ({"consumableResourceProperties": SHARED}, "consumable resources"),
    "containerOverrides.command": ({"container": {"command": ["sh"]}}, "a command"),
    "containerOverrides.resourceRequirements": (
        {"container": {"resourceRequirements": [{"type": "VCPU", "value": "8"}]}},
        "resources",
    ),
    "ecsPropertiesOverride": ({"ecsProperties": {"taskProperties": [{}]}}, "ECS properties"),
    "eksPropertiesOverride": ({"eksProperties": {"podProperties": {"hostNetwork": True}}}, "EKS properties"),
    "nodeOverrides": ({"nodeProperties": {"isMainNode": True}}, "nodes"),
    "parameters": ({"parameters": {"a": "b"}}, "parameters"),
    "retryStrategy": ({"retryStrategy": {"attempts": 1}}, "retries"),
    "schedulingPriorityOverride": ({"schedulingPriority": 1}, "a scheduling priority"),
    "shareIdentifier": ({"shareIdentifier": "team"}, "a share identifier"),
}
CARRIED = {"jobName", "tags", "timeout", "containerOverrides.environment"}
# The release's own; what a job waits for; what each job gets that capctl submits.
OF_THE_MOVE = {"jobDefinition", "jobQueue", "dependsOn", "propagateTags"}
# Nothing where the definition names its resources otherwise, as those of releases do, and runs on one node.
WITHOUT_EFFECT = {"containerOverrides.vcpus", "containerOverrides.memory", "containerOverrides.instanceType"}


def test_everything_that_a_job_can_be_submitted_with_is_carried_over_or_keeps_it_where_it_is() -> None:
    model = botocore.session.get_session().get_service_model("batch")
    members = dict(model.operation_model("SubmitJob").input_shape.members)
    overrides = members.pop("containerOverrides").members
    known = members.keys() | {f"containerOverrides.{name}" for name in overrides}
    assert known == SPECIAL.keys() | CARRIED | OF_THE_MOVE | WITHOUT_EFFECT


@pytest.mark.parametrize(("changed", "special"), SPECIAL.values(), ids=SPECIAL)
def test_settings_that_cannot_be_submitted_again_are_named(changed: dict[str, Any], special: str) -> None:
    assert submission(job(**changed), DEFINITION).special == (special,)


def test_priority_and_shared_resources_of_the_definition_are_not_the_job_s_own() -> None:
    both: dict[str, Any] = {"schedulingPriority": 3, "consumableResourceProperties": SHARED}
    assert submission(job(**both), DEFINITION | both).special == ()
    nothing: dict[str, Any] = {"schedulingPriority": 0, "consumableResourceProperties": {"consumableResourceList": []}}
    assert submission(job(**nothing), DEFINITION).special == ()


@pytest.mark.parametrize(("count", "special"), [(44, ()), (45, ("too many tags for capctl's to be added",))])
def test_job_whose_tags_leave_no_room_for_those_of_a_move_is_not_one_to_be_moved(
    count: int, special: tuple[str, ...]
) -> None:
    tags = {f"customer-{number}": "x" for number in range(count)} | {"capctl:project": "vision"}
    definition = DEFINITION | {"tags": {"capctl:project": "vision", "team": "a", "cost": "b"}}
    assert submission(job(tags=tags), definition).special == special


def test_jobs_that_it_waits_for_are_told() -> None:
    assert submission(job(dependsOn=[{"jobId": "2"}, {"type": "SEQUENTIAL"}]), DEFINITION).waits_for == ("2",)


def test_without_its_definition_everything_is_the_job_s_own() -> None:
    found = submission(job(), None)
    assert set(found.request.environment) == {"SESSION_ID", "FPS", "MODEL_SET"}
    assert found.special == ("resources", "retries")


def test_no_retries_are_one_attempt() -> None:
    definition = {**DEFINITION, "retryStrategy": None}
    assert submission(job(retryStrategy={"attempts": 1, "evaluateOnExit": []}), definition).special == ()
