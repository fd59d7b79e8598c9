"""The resource types that the provider knows."""

from collections.abc import Callable

from lifecycle.rehearsal.provider.batch import ComputeEnvironment, JobDefinition, JobQueue
from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.dynamodb import Table
from lifecycle.rehearsal.provider.ec2 import LaunchTemplate
from lifecycle.rehearsal.provider.ecr import LifecyclePolicy, Repository
from lifecycle.rehearsal.provider.iam import InstanceProfile, Role, RolePolicy, RolePolicyAttachment
from lifecycle.rehearsal.provider.logs import LogGroup
from lifecycle.rehearsal.provider.resource import Resource
from lifecycle.rehearsal.provider.s3 import (
    Bucket,
    BucketEncryption,
    BucketLifecycle,
    BucketPublicAccessBlock,
    BucketVersioning,
)

TYPES: tuple[Callable[[Clients], Resource], ...] = (
    Bucket,
    BucketEncryption,
    BucketLifecycle,
    BucketPublicAccessBlock,
    BucketVersioning,
    ComputeEnvironment,
    InstanceProfile,
    JobDefinition,
    JobQueue,
    LaunchTemplate,
    LifecyclePolicy,
    LogGroup,
    Repository,
    Role,
    RolePolicy,
    RolePolicyAttachment,
    Table,
)


def resources(clients: Clients) -> dict[str, Resource]:
    """Resource types by their token."""
    return {resource.token: resource for resource in (make(clients) for make in TYPES)}
