"""Every resource that the programs declare obeys every policy, and each policy sees a resource that does not."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pulumi_stack.base import base
from pulumi_stack.releases import releases
from tests.unit.pulumi_stack.policies import POLICIES, broken, kind_of
from tests.unit.pulumi_stack.recorded import Resource, record
from tests.unit.pulumi_stack.test_base import CONFIG as BASE
from tests.unit.pulumi_stack.test_base import NETWORK, SECRET
from tests.unit.pulumi_stack.test_releases import CONFIG, SPEC

# Importing the provider's s3 module defines its deprecated resources too.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OTHER = replace(
    SPEC,
    id="ba9876543210",
    spot=False,
    gpus=0,
    runtime_mount="/opt/runtime",
    environment={},
    database_secret_arn=SECRET,
)
PROGRAMS: Mapping[str, Callable[[], None]] = {
    "base": lambda: base(BASE),
    "base with everything": lambda: base(
        replace(BASE, network=NETWORK, database_secret_arn=SECRET, image_lifecycle=json.dumps({"rules": []}))
    ),
    "releases": lambda: releases(CONFIG, (), [SPEC, OTHER]),
}


def resources() -> list[Resource]:
    """Everything that the programs can declare."""
    return [*record(PROGRAMS["base with everything"]).resources, *record(PROGRAMS["releases"]).resources]


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_obeys_every_policy(program: str) -> None:
    declared = record(PROGRAMS[program]).resources
    assert broken(declared) == []
    assert declared


def container(**change: Any) -> dict[str, Any]:
    return {"containerProperties": json.dumps({"image": SPEC.image, "mountPoints": [], **change})}


def compute(**change: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda inputs: {"computeResources": {**inputs["computeResources"], **change}}


def allowing(action: str, resource: str, **more: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": [action], "Resource": [resource], **more}]})


def trusting(principal: Any) -> dict[str, Any]:
    return {
        "assumeRolePolicy": json.dumps(
            {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]}
        )
    }


_EC2 = "ec2.amazonaws.com"
_DISK = {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 1, "volumeType": "gp3", "encrypted": "true"}}
# By policy: the kind of a resource that obeys it, and changes of its inputs each of which breaks it.
BREAKS: Mapping[str, tuple[str, list[Any]]] = {
    "rehearsed": ("Queue", [{"visibilityTimeoutSeconds": 99_999}, {"fifoQueue": True}, {"colour": "red"}]),
    "tagged": ("Vpc", [{"tags": {}}, {"tags": {"Name": "vision"}}]),
    "unique names": ("Role", [{"name": "vision-instance"}]),
    "release-scoped": ("JobQueue", [{"name": "vision"}, {"tags": {"capctl:project": "vision"}}]),
    "image by digest": ("JobDefinition", [container(image="registry/vision:latest")]),
    "mounts read-only": (
        "JobDefinition",
        [
            container(mountPoints=[{"containerPath": "/workspace/models", "sourceVolume": "models"}]),
            container(mountPoints=[{"containerPath": "/workspace/models", "readOnly": False}]),
            container(privileged=True),
        ],
    ),
    "template version numbered": (
        "ComputeEnvironment",
        [compute(launchTemplate={"launchTemplateId": "lt-1", "version": "$Latest"}), compute(launchTemplate=None)],
    ),
    "image type set": ("ComputeEnvironment", [compute(ec2Configurations=[{}]), compute(ec2Configurations=None)]),
    "strategy set": ("ComputeEnvironment", [compute(allocationStrategy="BEST_FIT"), compute(allocationStrategy=None)]),
    "nothing that moves or binds": (
        "ComputeEnvironment",
        [compute(desiredVcpus=0), compute(spotIamFleetRole="arn:role"), {"serviceRole": "arn:role"}],
    ),
    "IMDSv2": (
        "LaunchTemplate",
        [
            {"metadataOptions": {"httpTokens": "optional", "httpPutResponseHopLimit": 1}},
            {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}},
            {"metadataOptions": None},
        ],
    ),
    "volumes encrypted": (
        "LaunchTemplate",
        [
            {"blockDeviceMappings": []},
            {"blockDeviceMappings": [_DISK, {"ebs": {"volumeType": "gp3"}}]},
            {"blockDeviceMappings": [{"ebs": {"volumeType": "gp2", "encrypted": "true"}}]},
        ],
    ),
    "queues encrypted": ("Queue", [{"sqsManagedSseEnabled": False}, {"sqsManagedSseEnabled": None}]),
    "tables encrypted and recoverable": ("Table", [{"serverSideEncryption": None}, {"pointInTimeRecovery": {}}]),
    "buckets encrypted and closed": ("BucketPublicAccessBlock", [{"blockPublicPolicy": False}, {"bucket": "other"}]),
    "logs expire": ("LogGroup", [{"retentionInDays": 0}, {"retentionInDays": None}]),
    "no way in": ("SecurityGroup", [{"ingress": [{"protocol": "tcp", "fromPort": 22, "toPort": 22}]}]),
    "least actions": (
        "RolePolicy",
        [
            {"policy": allowing("s3:*", "arn:aws:s3:::data/*")},
            {"policy": allowing("s3:Get*", "arn:aws:s3:::data/*")},
            {"policy": allowing("s3:GetObject", "*")},
            {"policy": allowing("sqs:SendMessage", "arn:aws:sqs:*:123456789012:vision")},
            {"policy": allowing("s3:GetObject", "arn:aws:s3:::data/*", NotAction="s3:PutObject")},
        ],
    ),
    "trust in one service": (
        "Role",
        [
            trusting("*"),
            trusting({"AWS": "arn:aws:iam::123456789012:root"}),
            trusting({"Service": [_EC2, "lambda.amazonaws.com"]}),
            trusting({"Service": _EC2, "AWS": "123456789012"}),
            {"assumeRolePolicy": json.dumps({"Statement": []})},
        ],
    ),
    "services act for this account only": (
        "Queue",
        [
            {"policy": allowing("sqs:SendMessage", "arn:q", Principal={"Service": "s3.amazonaws.com"})},
            {"policy": allowing("sqs:SendMessage", "arn:q", Principal="*")},
        ],
    ),
}


def breaking(name: str) -> list[Any]:
    """Cases of (policy, kind, change)."""
    kind, changes = BREAKS[name]
    return [pytest.param(name, kind, change, id=f"{name}-{number}") for number, change in enumerate(changes)]


@pytest.mark.parametrize(("name", "kind", "change"), [case for name in BREAKS for case in breaking(name)])
def test_policy_sees_a_resource_that_breaks_it(name: str, kind: str, change: Any) -> None:
    declared = resources()
    # The last one, so that a name that another one has comes twice.
    place = max(index for index, one in enumerate(declared) if kind_of(one) == kind)
    inputs = declared[place].inputs
    declared[place] = replace(declared[place], inputs={**inputs, **(change(inputs) if callable(change) else change)})
    assert [how for how in broken(declared) if how.startswith(f"{name}: ")]


def test_every_policy_is_seen_to_be_broken() -> None:
    assert {policy.name for policy in POLICIES} == BREAKS.keys()


@pytest.mark.parametrize(
    ("type_", "inputs"),
    [
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"ipProtocol": "tcp"}),
        ("aws:ec2/securityGroupRule:SecurityGroupRule", {"type": "ingress"}),
    ],
)
def test_way_in_is_seen_as_a_resource_of_its_own_too(type_: str, inputs: dict[str, Any]) -> None:
    found = broken([Resource(type=type_, name="in", inputs=inputs)])
    assert any(how.startswith("no way in: ") for how in found)
    assert any(how.startswith("rehearsed: ") for how in found)
