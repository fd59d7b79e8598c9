"""What a recorded call asks of IAM: actions, and the resources that its parameters name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.dev.iam_judge import Asked
from tests.dev.iam_names import TAGGED_AT_CREATION
from tests.dev.iam_scopes import EVERYWHERE

Call = dict[str, Any]

ACCOUNT, REGION = "123456789012", "ap-northeast-2"
_REQUEST_TAG, _CREATE_ACTION = "aws:RequestTag/capctl:project", "ec2:CreateAction"
# What is made has no tags before.
_UNTAGGED = {"aws:ResourceTag/capctl:project": ""}
# What EC2's ids begin with.
_KINDS = {
    "ami": "image",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "rtb": "route-table",
    "sg": "security-group",
    "snap": "snapshot",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
}
_BESIDE_IDS = {"LaunchTemplateData", "Tags", "TagSpecifications"}
# Who takes on the roles that the call gives.
_TAKES_ROLE = {
    "AddRoleToInstanceProfile": "ec2",
    "CreateComputeEnvironment": "ec2",
    "RegisterJobDefinition": "ecs-tasks",
}
# Asked for where a call gives a role, or tags.
_ONLY_IF_GIVEN = {"iam:PassRole", "ec2:CreateTags"}
_TAGGING = {
    "batch:TagResource",
    "dynamodb:TagResource",
    "ecr:TagResource",
    "iam:TagInstanceProfile",
    "iam:TagRole",
    "logs:TagResource",
    "sqs:TagQueue",
}


def asked_of(call: Call, actions: tuple[str, ...]) -> Iterator[Asked]:
    """Each of the actions on each resource, with the tags and the service that are known; nothing of what is allowed everywhere."""
    for action in (one for one in actions if one not in EVERYWHERE):
        found = list(_on_resources(call, action))
        assert found or action in _ONLY_IF_GIVEN, f"{action}: {call} names nothing"
        yield from found


def _on_resources(call: Call, action: str) -> Iterator[Asked]:
    about, operation = call["about"], call["operation"]
    if action == "iam:PassRole":
        for role in _roles(about):
            service = f"{_TAKES_ROLE[operation]}.amazonaws.com"
            yield Asked(action=action, resource=role, context={"iam:PassedToService": service})
        return
    if call["service"] == "ec2":
        yield from _on_ec2(about, operation, action)
        return
    context = {_REQUEST_TAG: _project(about.get("tags") or about.get("Tags") or {})} if action in _TAGGING else {}
    if operation == "AttachRolePolicy":
        context = {"iam:PolicyARN": about["PolicyArn"]}
    # A job has its id only then, and the queue is tagged with nothing.
    is_job = operation == "SubmitJob" and action == "batch:TagResource"
    resources = [_regional("batch", "job/made")] if is_job else _RESOURCES[action.split(":")[0]](about, action)
    for resource in resources:
        yield Asked(action=action, resource=resource, context=context)


def _on_ec2(about: Call, operation: str, action: str) -> Iterator[Asked]:
    tagged = {one["ResourceType"]: _project(one["Tags"]) for one in about.get("TagSpecifications", ())}
    made = TAGGED_AT_CREATION.get(operation, ())
    if action == "ec2:CreateTags" and operation != "CreateTags":
        for kind, project in tagged.items():
            yield Asked(
                action=action,
                resource=_ec2(kind, "made"),
                context={**_UNTAGGED, _CREATE_ACTION: operation, _REQUEST_TAG: project},
            )
        return
    for kind in (one for one in made if "/" not in one):
        context = {**_UNTAGGED, _REQUEST_TAG: tagged.get(kind, "")}
        yield Asked(action=action, resource=_ec2(kind, "made"), context=context)
    context = {_CREATE_ACTION: "", _REQUEST_TAG: _project(about["Tags"])} if action == "ec2:CreateTags" else {}
    # What a launch template holds nobody is asked about before it is launched.
    named = {name: value for name, value in about.items() if name not in _BESIDE_IDS}
    for one in _texts(named):
        if kind := _KINDS.get(one.split("-")[0]) if re.fullmatch(r"[a-z]+-[0-9a-f]{8,}", one) else None:
            yield Asked(action=action, resource=_ec2(kind, one), context=context)
    if key := about.get("KeyName"):
        yield Asked(action=action, resource=_ec2("key-pair", key))


def _ec2(kind: str, name: str) -> str:
    account = "" if kind in {"image", "snapshot"} else ACCOUNT
    return f"arn:aws:ec2:{REGION}:{account}:{kind}/{name}"


def _roles(about: Call) -> Iterator[str]:
    """The roles that it gives away; an instance profile of capctl's has its role's name."""
    for name in ("executionRoleArn", "instanceRole", "jobRoleArn"):
        yield from (one.replace(":instance-profile/", ":role/") for one in _values(about, name))
    if "InstanceProfileName" in about:
        yield f"arn:aws:iam::{ACCOUNT}:role/{about['RoleName']}"


def _of_s3(about: Call, action: str) -> list[str]:
    bucket, key = f"arn:aws:s3:::{about['Bucket']}", about.get("Key")
    return [f"{bucket}/{key}" if key and action.endswith(("Object", "Upload")) else bucket]


def _of_ssm(about: Call, _: str) -> list[str]:
    names = [about[name] for name in ("Name", "Path") if name in about] + about.get("Names", [])
    return [f"arn:aws:ssm:{REGION}:{'' if name.startswith('/aws/') else ACCOUNT}:parameter{name}" for name in names]


def _of_iam(about: Call, action: str) -> list[str]:
    kind, name = ("instance-profile", "InstanceProfileName") if "InstanceProfile" in action else ("role", "RoleName")
    return [f"arn:aws:iam::{ACCOUNT}:{kind}/{about[name]}"]


def _of_logs(about: Call, action: str) -> list[str]:
    group = about.get("resourceArn") or _regional("logs", f"log-group:{about['logGroupName']}")
    ends = {"logs:GetLogEvents": ":log-stream:any", "logs:ListTagsForResource": "", "logs:TagResource": ""}
    return [group.removesuffix(":*") + ends.get(action, ":*")]


def _of_batch(about: Call, _: str) -> list[str]:
    kinds = {
        "compute-environment": ("computeEnvironment", "computeEnvironmentName"),
        "job-definition": ("jobDefinition", "jobDefinitionName"),
        "job-queue": ("jobQueue", "jobQueueName"),
        "job": ("jobId",),
    }
    found = [(kind, one) for kind, names in kinds.items() for name in names for one in _values(about, name)]
    return [one if one.startswith("arn:") else _regional("batch", f"{kind}/{one}") for kind, one in found]


def _named(service: str, kind: str, *members: str) -> Callable[[Call, str], list[str]]:
    def resources(about: Call, _: str) -> list[str]:
        names = {text.rsplit("/", 1)[-1] for member in members for text in _values(about, member)}
        return [_regional(service, f"{kind}{name}") for name in sorted(names)]

    return resources


_RESOURCES: Mapping[str, Callable[[Call, str], list[str]]] = {
    "batch": _of_batch,
    "dynamodb": _named("dynamodb", "table/", "TableName", "RequestItems", "ResourceArn"),
    "ecr": _named("ecr", "repository/", "repositoryName", "repositoryNames", "resourceArn"),
    "ecs": lambda about, _: about["containerInstances"],
    "iam": _of_iam,
    "logs": _of_logs,
    "s3": _of_s3,
    "sqs": _named("sqs", "", "QueueName", "QueueUrl"),
    "ssm": _of_ssm,
    # The key is told by an alias, and which one that is by AWS alone.
    "kms": lambda _about, _action: [_regional("kms", "key/any")],
}


def _regional(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"


def _project(tags: Any) -> str:
    """Of tags as services write them; "" without one."""
    pairs = tags if isinstance(tags, dict) else {one["Key"]: one.get("Value", "") for one in tags}
    return str(pairs.get("capctl:project", ""))


def _values(value: Any, name: str) -> Iterator[str]:
    """The texts of a member, wherever it stands."""
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from _texts(inner) if member == name else _values(inner, name)
    elif isinstance(value, list):
        for one in value:
            yield from _values(one, name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
