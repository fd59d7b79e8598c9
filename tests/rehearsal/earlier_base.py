"""The base stack as an earlier version of capctl made it."""

from typing import Any

import pulumi
from pulumi_aws import cloudwatch, dynamodb, iam

from pulumi_stack.components.bucket import PrivateBucket
from pulumi_stack.components.repository import image_repository
from pulumi_stack.components.roles import SESSION_MANAGER_POLICY, allow, instance_statements, role
from pulumi_stack.config import BaseConfig


def _job_statements(bucket_arn: str) -> list[dict[str, Any]]:
    return [
        allow(["s3:GetObject"], f"{bucket_arn}/videos/*", f"{bucket_arn}/samples/*"),
        allow(["s3:PutObject"], f"{bucket_arn}/results/*", f"{bucket_arn}/smoke/*"),
    ]


def earlier_base(config: BaseConfig) -> None:
    """The base stack before there were queues, tasks and networks."""
    tags = {"capctl:project": config.project}
    bucket = PrivateBucket("data", bucket=config.bucket, tags=tags).bucket
    repository = image_repository("images", config, tags=tags)
    table = dynamodb.Table(
        "pointers",
        name=config.table,
        billing_mode="PAY_PER_REQUEST",
        hash_key="id",
        attributes=[dynamodb.TableAttributeArgs(name="id", type="S")],
        point_in_time_recovery=dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
        tags=tags,
    )
    log_group = cloudwatch.LogGroup(
        "jobs", name=config.log_group, retention_in_days=config.log_retention_days, tags=tags
    )
    instance_role = role(
        f"{config.project}-instance",
        service=f"ec2.{config.domain}",
        statements=pulumi.Output.all(repository.arn, log_group.arn).apply(lambda arns: instance_statements(*arns)),
        tags=tags,
    )
    job_role = role(
        f"{config.project}-job",
        service="ecs-tasks.amazonaws.com",
        statements=bucket.arn.apply(_job_statements),
        tags=tags,
    )
    execution_role = role(f"{config.project}-execution", service="ecs-tasks.amazonaws.com", statements=None, tags=tags)
    profile = iam.InstanceProfile(
        f"{config.project}-instance", name=f"{config.project}-instance", role=instance_role.name, tags=tags
    )
    bake_role = role(f"{config.project}-bake", service=f"ec2.{config.domain}", statements=None, tags=tags)
    iam.RolePolicyAttachment(
        f"{config.project}-bake",
        role=bake_role.name,
        policy_arn=f"arn:{config.partition}:iam::aws:policy/{SESSION_MANAGER_POLICY}",
    )
    iam.InstanceProfile(f"{config.project}-bake", name=f"{config.project}-bake", role=bake_role.name, tags=tags)
    pulumi.export("bucket", bucket.bucket)
    pulumi.export("repository", repository.repository_url)
    pulumi.export("table", table.name)
    pulumi.export("log_group", log_group.name)
    pulumi.export("job_role_arn", job_role.arn)
    pulumi.export("execution_role_arn", execution_role.arn)
    pulumi.export("instance_profile_arn", profile.arn)
