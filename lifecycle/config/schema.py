"""The shape of `capctl.yaml`. Descriptions are the reference: `capctl config schema` and the docs are generated from them.

These classes are the values that the rest of capctl reads. Whether a file fits them is for `validate.py` to say.
"""

from dataclasses import dataclass
from typing import Literal

from lifecycle.config.image_sections import ImageSection
from lifecycle.config.sections import Section, key, required
from lifecycle.config.values import (
    MAX_DAYS,
    MAX_KEPT,
    MAX_S,
    AccountId,
    Cidr,
    Name,
    PromotionChannel,
    Region,
    SecretArn,
    Url,
    VariableName,
    VideoUrl,
    ZoneLetter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsSection(Section):
    """Which files make the model set."""

    source: str = key(
        "models",
        "Folder, or `s3://bucket/prefix`, that holds models/, checkpoints/ and experiments/, and runtime/ where jobs use one; a link in "
        "it counts as the file of it that it leads to",
    )
    lock: str = key("models.lock.yaml", "The lock file, relative to capctl.yaml")
    exclude: tuple[str, ...] = key((), "Patterns to leave out besides src/, tools/, *.csv and caches")
    budget_bytes: int = key(3_000_000_000, "Largest payload under /opt/dl-models, in bytes, without runtime/", gt=0)
    runtime_budget_bytes: int = key(5_000_000_000, "Largest runtime/ under /opt/dl-models, in bytes", gt=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSection(Section):
    """Which AMIs `capctl ami prune` keeps, whether anybody uses them or not."""

    keep_per_channel: int = key(3, "Newest AMIs of each channel that stay, its target included", ge=1, le=MAX_KEPT)
    min_age_days: int = key(30, "Younger AMIs stay, in days", ge=0, le=MAX_DAYS)
    # EC2 tells up to a day late that an instance was started.
    grace_hours: int = key(
        48, "Time between the disabling of an AMI and its removal, in hours", ge=24, le=24 * MAX_DAYS
    )
    template_versions: int = key(
        3,
        "Newest versions of a launch template whose AMIs are in use, besides the default one and those that something names",
        ge=1,
        le=MAX_KEPT,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiSection(Section):
    """How the AMI is baked."""

    base: str = key(
        "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id",
        "Base AMI: an AMI id, or an SSM parameter that holds one; pinned by id before the bake",
    )
    architecture: Literal["x86_64", "arm64"] = key("x86_64", "Architecture of the base AMI")
    instance_types: tuple[str, ...] = key(
        ("m6i.large", "m5.large"),
        "Instances that may copy the files, the first that AWS has capacity for; no GPU is needed",
        min_length=1,
    )
    volume_gib: int = key(30, "Root volume in GiB; never smaller than the base AMI's snapshot", ge=1)
    subnet_ids: tuple[str, ...] = key(
        (), "Subnets for the bake, each tried with every instance type; the default VPC's when absent"
    )
    kms_key_id: str | None = key(
        None, "KMS key of the AMI; the account's default key when absent, and then the AMI can never be shared"
    )
    instance_profile: str | None = key(
        None,
        "Instance profile for the bake; absent = the base stack's `<project>-bake` with Session Manager, else none",
    )
    ssh_username: str = key("ec2-user", "Login of the base AMI")
    ssh_interface: Literal["public_ip", "private_ip", "session_manager"] = key(
        "session_manager", "How Packer reaches the instance"
    )
    ssh_port: int = key(22, "Port of sshd on the instance", ge=1, le=65535)
    timeout_s: int = key(
        3600,
        "Longest wait for the bake, for the AMI to become available and for its boot, in seconds",
        ge=60,
        le=MAX_S,
    )
    verify_boot: bool = key(
        False,
        "Whether `ami bake` also starts an instance of the new AMI that reads it again, and only an AMI that passed this is used",
    )
    promote_to: PromotionChannel | None = key(
        None,
        "Channel that `capctl release` points at the AMI once its release is active, such as `stable`; none when absent",
    )
    retention: RetentionSection = key(RetentionSection(), "What `ami prune` keeps")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSection(Section):
    """Job and compute parameters of a release."""

    instance_types: tuple[str, ...] = key(("g5.xlarge", "g4dn.xlarge"), "Instance types Batch may start", min_length=1)
    max_vcpus: int = key(40, "Upper limit of the compute environment", ge=1)
    spot: bool = key(True, "Spot instances; false = on demand")
    subnet_ids: tuple[str, ...] = key((), "Subnets of the compute environment")
    security_group_ids: tuple[str, ...] = key((), "Security groups of the compute environment")
    volume_gib: int = key(100, "Root volume of the hosts in GiB", ge=1)
    vcpus: int = key(4, "vCPUs of a job", ge=1)
    memory_mib: int = key(14_000, "Memory of a job in MiB", ge=128)
    gpus: int = key(1, "GPUs of a job", ge=0)
    timeout_s: int = key(7200, "Longest attempt of a job in seconds", ge=60, le=MAX_S)
    attempts: int = key(4, "Attempts of a job; only lost hosts and temporary failures are retried", ge=1, le=10)
    environment: dict[VariableName, str] = key({}, "Environment of every job, such as DATABASE_URL")
    database_secret_arn: SecretArn | None = key(
        None,
        "Secret of Secrets Manager whose whole text jobs get as DATABASE_URL, in place of one in `environment`; `capctl bootstrap` lets "
        "their start read it, and no other",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeSection(Section):
    """The real job that gates a release."""

    video_url: VideoUrl | None = key(
        None,
        "Video to analyse, below `samples/` or `videos/` of the bucket; when absent, a clip of three seconds that capctl puts there itself",
    )
    timeout_s: int = key(
        1800,
        "Longest that the smoke job may wait for hosts and start, over all its attempts, and longest that an attempt may run, in seconds; "
        "the smoke takes at most twice as long",
        ge=10,
        le=MAX_S,
    )
    min_frames: int = key(
        1,
        "Frames that the analysis must have looked at at least, of a video that decoded to its end; 0 = neither is asked, for a job that "
        "tells nothing of them, since it is another one than the analyzer",
        ge=0,
    )
    min_tracks: int | None = key(
        None, "Tracks that the result must hold at least; when absent 1, and 0 in capctl's own clip", ge=0
    )
    vector_dimension: int | None = key(
        None, "Dimension of the vectors that the job stores; when absent that which its result names", gt=0
    )
    max_run_percent: int = key(
        150,
        "Longest work of the job, in percent of what the release before passed with on the same instance type and video; 10 s more "
        "than that always pass; 0 = not compared",
        ge=0,
        le=100_000,
    )
    database_url: str | None = key(
        None, "PostgreSQL URL, as seen from here, to count the stored rows and look at their vectors; absent = neither"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSection(Section):
    """After the gate: how long a deploy watches real jobs on the release that it promoted."""

    duration_s: int = key(300, "How long, in seconds from the promotion; 0 = not at all", ge=0, le=86_400)
    max_failed_jobs: int = key(
        0,
        "Jobs that may fail meanwhile, besides those that lost their host or got unusable input; one more, or a dead letter, and the "
        "deploy is rolled back",
        ge=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSection(Section):
    """Where Pulumi keeps its state."""

    state: str = key("s3", "`s3` = the state bucket of the project, or a `s3://…` or `file://…` backend URL")
    secrets_provider: str = key(
        "passphrase",
        "Pulumi secrets provider, such as `awskms://alias/capctl`; `passphrase` = the one of PULUMI_CONFIG_PASSPHRASE, for a `file://` "
        "state one of its own where that is not set",
    )
    keep_releases: int = key(2, "Releases that stay deployable for rollback, the active one included", ge=1, le=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSection(Section):
    """A network of the project's own, for an account without subnets to give to `release`."""

    create: bool = key(
        False,
        "Whether the base stack has a VPC with public subnets, a way to S3 and a security group that lets nothing in; releases are in it "
        "where `release.subnet_ids` and `release.security_group_ids` are empty",
    )
    cidr: Cidr = key("10.64.0.0/16", "Addresses of that VPC, /16 to /25, of which each zone has an eighth; for life")
    zones: tuple[ZoneLetter, ...] = key(
        ("a", "b", "c"),
        "Letters of the availability zones that have a subnet, two or three of those that the region offers the account",
        min_length=2,
        max_length=3,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Section):
    """Everything that may be set for all targets under `defaults`, and again for one target."""

    models: ModelsSection = key(ModelsSection(), "The model set")
    ami: AmiSection = key(AmiSection(), "The AMI bake")
    image: ImageSection = key(ImageSection(), "The container image")
    release: ReleaseSection = key(ReleaseSection(), "Job and compute parameters")
    smoke: SmokeSection = key(SmokeSection(), "The gate")
    watch: WatchSection = key(WatchSection(), "The watch after the gate")
    stack: StackSection = key(StackSection(), "Infrastructure state")
    network: NetworkSection = key(NetworkSection(), "A network of the project's own")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSection(Settings):
    """One place to act in; everything under `defaults` may be overridden here."""

    account: AccountId = required("AWS account id; capctl refuses to act in another")
    region: Region = required("AWS region")
    profile: str | None = key(None, "Profile of the AWS configuration files")
    endpoint_url: Url | None = key(None, "Address of every AWS API, for an emulator")
    registry_url: Url | None = key(None, "Address of the container registry, when it is not the account's ECR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Section):
    """The whole file."""

    schema_name: Literal["capctl.config/1"] = key("capctl.config/1", "Version of this format", alias="schema")
    project: Name = required("Name of the project; prefix of every resource")
    default_target: str | None = key(None, "Target when `--target` and CAPCTL_TARGET are absent")
    defaults: Settings = key(Settings(), "Settings for all targets")
    targets: dict[Name, TargetSection] = required("Targets by name", min_length=1)
