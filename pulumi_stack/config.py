"""What the programs are given: plain values, so that a test, a person or capctl can supply them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """A network to be made: `cidr` is its block, /16 to /25 without host bits, `zones` the letters of the availability zones."""

    cidr: str
    zones: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseConfig:
    """Names of the base stack. `partition` is that of ARNs, `domain` the end of AWS's host names in it. `log_retention_days` is one of the
    values that CloudWatch Logs knows.

    `database_secret_arn` is the secret that jobs are started with, None = none, and `network` what shall be made, None = nothing.
    `movable_tags` are the patterns of the image tags that may move; `image_kms_key_arn` None = ECR's own AES256; `image_lifecycle` is the
    JSON text of ECR's lifecycle policy, None = nothing expires.
    """

    project: str
    account: str
    region: str
    bucket: str
    repository: str
    table: str
    tasks_table: str
    log_group: str
    partition: str = "aws"
    domain: str = "amazonaws.com"
    log_retention_days: int = 30
    movable_tags: Sequence[str] = ("cache-*",)
    scan_on_push: bool = True
    image_kms_key_arn: str | None = None
    image_lifecycle: str | None = None
    database_secret_arn: str | None = None
    network: NetworkConfig | None = None

    def arn(self, service: str, name: str) -> str:
        """The ARN of a thing of the project, before it is made."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasesConfig:
    """What every release uses of the base stack."""

    project: str
    region: str
    log_group: str
    job_role_arn: str
    execution_role_arn: str
    instance_profile_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSpec:
    """One release. `image` is pinned by digest, `record` any text that shall be found again beside the resources, `runtime_mount` the
    place in the container for the runtime that the AMI brings, "" for an image that needs none. `database_secret_arn` is the secret that
    the container has as DATABASE_URL, "" for none.

    Memory in MiB, times in seconds, volume in GiB.
    """

    id: str
    record: str
    ami_id: str
    model_set: str
    image: str
    instance_types: tuple[str, ...]
    max_vcpus: int
    spot: bool
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    volume_gib: int
    vcpus: int
    memory_mib: int
    gpus: int
    timeout_s: int
    attempts: int
    environment: dict[str, str] = field(default_factory=dict)
    database_secret_arn: str = ""
    runtime_mount: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingResource:
    """A resource that exists. `depends_on` holds URNs, `plugin_version` is that of the provider which took the inputs, None = any."""

    urn: str
    type: str
    name: str
    arn: str
    inputs: dict[str, Any]
    depends_on: tuple[str, ...]
    plugin_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRelease:
    """A release of which something exists: its component and its resources, each after those that it depends on.

    `is_complete` says whether every part exists that a release cannot be without; `created` is when the last of them was made, ISO 8601,
    "" where the state does not say.
    """

    id: str
    created: str
    is_complete: bool
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    resources: tuple[StandingResource, ...]
