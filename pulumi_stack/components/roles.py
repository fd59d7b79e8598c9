"""The three roles of a job's life and the one of a bake, each with the least it needs."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_aws import iam

# What an instance needs to be reached through Session Manager, kept up to date by AWS.
SESSION_MANAGER_POLICY = "AmazonSSMManagedInstanceCore"

_ECS_AGENT = [
    "ecs:DeregisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:RegisterContainerInstance",
    "ecs:StartTelemetrySession",
    "ecs:SubmitAttachmentStateChanges",
    "ecs:SubmitContainerStateChange",
    "ecs:SubmitTaskStateChange",
    "ecs:UpdateContainerInstancesState",
]


# Where people put the videos that become jobs by themselves.
INGEST_FOLDER = "videos"
# Where a job finds its videos; `capctl` refuses to submit any other.
VIDEO_FOLDERS = (INGEST_FOLDER, "samples")
RESULT_FOLDERS = ("results", "smoke", "thumbnails")
# What a job reads and removes again of its own: how far the attempt before came, and the rows, result and pictures that it replaces.
_REPLACED = ("work/*", "analysis_*.jsonl", "result.json", "thumbnails/*.jpg")


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    """One statement of a policy document."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def document(*statements: Mapping[str, Any]) -> str:
    """A policy document; equal statements give equal text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def instance_statements(repository_arn: str, log_group_arn: str) -> list[dict[str, Any]]:
    """What a host does: be an ECS container instance, pull from the one repository, write job logs."""
    return [
        allow(_ECS_AGENT, "*"),
        allow(["ecr:GetAuthorizationToken"], "*"),
        allow(["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repository_arn),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group_arn}:*"),
    ]


def job_statements(bucket_arn: str, tasks_arn: str) -> list[dict[str, Any]]:
    """What the container does: read videos, write results and thumbnails, go on where an attempt was cut off, say how its task stands.

    The model store is closed to it, videos are read-only, of results it removes nothing but what it writes, and of tasks it sees none.
    """
    replaced = [f"{bucket_arn}/{folder}/*/{name}" for folder in RESULT_FOLDERS for name in _REPLACED]
    listed = {"StringLike": {"s3:prefix": [f"{folder}/*" for folder in RESULT_FOLDERS]}}
    return [
        allow(["s3:GetObject"], *(f"{bucket_arn}/{folder}/*" for folder in VIDEO_FOLDERS)),
        allow(["s3:PutObject"], *(f"{bucket_arn}/{folder}/*" for folder in RESULT_FOLDERS)),
        allow(["s3:DeleteObject", "s3:GetObject"], *replaced),
        {**allow(["s3:ListBucket"], bucket_arn), "Condition": listed},
        allow(["dynamodb:UpdateItem"], tasks_arn),
    ]


def execution_statements(secret_arn: str) -> list[dict[str, Any]]:
    """What ECS does in the job's name before it starts: read the one secret that becomes a variable of the container."""
    return [allow(["secretsmanager:GetSecretValue"], secret_arn)]


def role(
    name: str, *, service: str, statements: pulumi.Input[list[dict[str, Any]]] | None, tags: dict[str, str]
) -> iam.Role:
    """A role that `service` assumes, with one inline policy."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    made = iam.Role(name, name=name, assume_role_policy=document(trust), tags=tags)
    if statements is not None:
        policy = pulumi.Output.from_input(statements).apply(lambda found: document(*found))
        iam.RolePolicy(name, name="capctl", role=made.name, policy=policy, opts=pulumi.ResourceOptions(parent=made))
    return made
