"""The calls that a stage's emulator was asked: who asked, and which IAM actions each of them needs."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from lifecycle.rehearsal.emulator.calls import JOB_KEY_ID
from tests.rehearsal.kept_stage import KeptStage

Shown = dict[str, frozenset[str]]

# What a call needs besides or instead of the action of its own name, as AWS's Service Authorization Reference and the API
# references of the services say. Everything that capctl creates is tagged at once.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "batch:CreateComputeEnvironment": ("batch:CreateComputeEnvironment", "batch:TagResource", "iam:PassRole"),
    "batch:CreateJobQueue": ("batch:CreateJobQueue", "batch:TagResource"),
    "batch:RegisterJobDefinition": ("batch:RegisterJobDefinition", "batch:TagResource", "iam:PassRole"),
    "batch:SubmitJob": ("batch:SubmitJob", "batch:TagResource"),
    "dynamodb:TransactWriteItems": ("dynamodb:ConditionCheckItem", "dynamodb:PutItem"),
    "dynamodb:CreateTable": ("dynamodb:CreateTable", "dynamodb:TagResource"),
    "ec2:CreateInternetGateway": ("ec2:CreateInternetGateway", "ec2:CreateTags"),
    "ec2:CreateLaunchTemplate": ("ec2:CreateLaunchTemplate", "ec2:CreateTags"),
    "ec2:CreateRouteTable": ("ec2:CreateRouteTable", "ec2:CreateTags"),
    "ec2:CreateSecurityGroup": ("ec2:CreateSecurityGroup", "ec2:CreateTags"),
    "ec2:CreateSubnet": ("ec2:CreateSubnet", "ec2:CreateTags"),
    "ec2:CreateVpc": ("ec2:CreateVpc", "ec2:CreateTags"),
    "ec2:CreateVpcEndpoint": ("ec2:CreateVpcEndpoint", "ec2:CreateTags"),
    "ec2:RunInstances": ("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"),
    "ecr:CreateRepository": ("ecr:CreateRepository", "ecr:TagResource"),
    "ec2:CopyImage": ("ec2:CopyImage", "ec2:CreateTags"),
    "iam:AddRoleToInstanceProfile": ("iam:AddRoleToInstanceProfile", "iam:PassRole"),
    "iam:CreateInstanceProfile": ("iam:CreateInstanceProfile", "iam:TagInstanceProfile"),
    "iam:CreateRole": ("iam:CreateRole", "iam:TagRole"),
    "logs:CreateLogGroup": ("logs:CreateLogGroup", "logs:TagResource"),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketNotificationConfiguration": ("s3:GetBucketNotification",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject", "s3:ListBucket"),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketNotificationConfiguration": ("s3:PutBucketNotification",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:UploadPart": ("s3:PutObject",),
    "sqs:CreateQueue": ("sqs:CreateQueue", "sqs:TagQueue"),
    "sts:GetCallerIdentity": (),
}
_APP = re.compile(r"\b(?:app|exec-env)/(\S+)")


def recorded(kept: KeptStage) -> list[dict[str, Any]]:
    """Every call that the stage's emulator was asked so far."""
    return [json.loads(line) for line in (kept.folder / "emulator" / "calls.jsonl").read_text().splitlines()]


def needs_of(call: dict[str, Any]) -> tuple[str, ...]:
    """The actions that AWS asks for."""
    name = f"{call['service']}:{call['operation']}"
    return _NEEDS.get(name, (name,))


def caller(call: dict[str, Any]) -> str:
    """`ami bake` for that command with all that it starts, `job`, `rehearsal`, or the User-Agent of one who is unknown."""
    # AWS asks for the permissions of the signer: one lets instances read, the other lets them report.
    if call["presigned"]:
        return "ami verify" if call["operation"] == "PutObject" else "ami bake"
    if call["key_id"] == JOB_KEY_ID:
        return "job"
    app = _APP.search(call["agent"])
    return app[1].removeprefix("capctl.").replace(".", " ") if app else f"unknown: {call['agent']}"


def actions_by_caller(calls: list[dict[str, Any]]) -> Shown:
    """What each caller of some calls needs."""
    found: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        found[caller(call)].update(needs_of(call))
    return {name: frozenset(actions) for name, actions in found.items()}
