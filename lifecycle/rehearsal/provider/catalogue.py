"""The resource types that the provider knows."""

from lifecycle.rehearsal.provider.batch import ComputeEnvironment, JobQueue
from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.dynamodb import Table
from lifecycle.rehearsal.provider.ec2 import LaunchTemplate
from lifecycle.rehearsal.provider.ecr import LifecyclePolicy, Repository
from lifecycle.rehearsal.provider.iam import InstanceProfile, Role, RolePolicy, RolePolicyAttachment
from lifecycle.rehearsal.provider.job_definitions import JobDefinition
from lifecycle.rehearsal.provider.logs import LogGroup
from lifecycle.rehearsal.provider.network import Subnet, Vpc
from lifecycle.rehearsal.provider.resource import Resource
from lifecycle.rehearsal.provider.routes import InternetGateway, RouteTable, RouteTableAssociation, VpcEndpoint
from lifecycle.rehearsal.provider.s3 import (
    Bucket,
    BucketEncryption,
    BucketLifecycle,
    BucketNotification,
    BucketPublicAccessBlock,
    BucketVersioning,
)
from lifecycle.rehearsal.provider.security_groups import SecurityGroup
from lifecycle.rehearsal.provider.sqs import Queue

TYPES: tuple[type[Resource], ...] = (
    Bucket,
    BucketEncryption,
    BucketLifecycle,
    BucketNotification,
    BucketPublicAccessBlock,
    BucketVersioning,
    ComputeEnvironment,
    InstanceProfile,
    InternetGateway,
    JobDefinition,
    JobQueue,
    LaunchTemplate,
    LifecyclePolicy,
    LogGroup,
    Queue,
    Repository,
    Role,
    RolePolicy,
    RolePolicyAttachment,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    Subnet,
    Table,
    Vpc,
    VpcEndpoint,
)


def resources(clients: Clients) -> dict[str, Resource]:
    """Resource types by their token."""
    return {resource.token: resource for resource in (make(clients) for make in TYPES)}
