"""The base stack: what all releases share and what changes rarely."""

import pulumi
from pulumi_aws import cloudwatch, iam

from pulumi_stack.components.bucket import PrivateBucket
from pulumi_stack.components.ingest import Ingest
from pulumi_stack.components.network import Network
from pulumi_stack.components.repository import image_repository
from pulumi_stack.components.roles import (
    SESSION_MANAGER_POLICY,
    execution_statements,
    instance_statements,
    job_statements,
    role,
)
from pulumi_stack.components.tables import EXPIRY, table
from pulumi_stack.config import BaseConfig


def base(config: BaseConfig) -> None:
    """Declare the base stack; its outputs are what releases and jobs refer to."""
    tags = {"capctl:project": config.project}
    bucket = PrivateBucket("data", bucket=config.bucket, tags=tags).bucket
    repository = image_repository("images", config, tags=tags)
    pointers = table("pointers", name=config.table, tags=tags)
    tasks = table("tasks", name=config.tasks_table, expiry=EXPIRY, tags=tags)
    ingest = Ingest(config, bucket=bucket, tags=tags)
    network = Network(config, config.network, tags=tags) if config.network else None
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
        statements=pulumi.Output.all(bucket.arn, tasks.arn).apply(lambda arns: job_statements(*arns)),
        tags=tags,
    )
    execution_role = role(
        f"{config.project}-execution",
        service="ecs-tasks.amazonaws.com",
        statements=execution_statements(config.database_secret_arn) if config.database_secret_arn else None,
        tags=tags,
    )
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
    pulumi.export("table", pointers.name)
    pulumi.export("log_group", log_group.name)
    pulumi.export("job_role_arn", job_role.arn)
    pulumi.export("execution_role_arn", execution_role.arn)
    pulumi.export("instance_profile_arn", profile.arn)
    pulumi.export("queue_url", ingest.queue.url)
    pulumi.export("dead_letters_url", ingest.dead.url)
    pulumi.export("tasks_table", tasks.name)
    pulumi.export("subnet_ids", network.subnet_ids if network else [])
    pulumi.export("security_group_ids", network.security_group_ids if network else [])
