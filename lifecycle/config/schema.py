"""The shape of `capctl.yaml`. Field descriptions are the reference: `capctl config schema` and the docs are generated from them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,29}$")]
Url = Annotated[
    str, StringConstraints(pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[^\s?#]*)?$")
]
AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]


class Section(BaseModel):
    """Unknown keys are mistakes; values are never coerced silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_when_nothing_follows(cls, value: object) -> object:
        """`smoke:` with every key below it commented out is an empty section."""
        return {} if value is None else value


class ModelsSection(Section):
    """Which files make the model set."""

    source: str = Field(
        "models", description="Folder, or `s3://bucket/prefix`, that holds models/, checkpoints/ and experiments/"
    )
    lock: str = Field("models.lock.yaml", description="The lock file, relative to capctl.yaml")
    exclude: tuple[str, ...] = Field((), description="Patterns to leave out besides src/, tools/, *.csv and caches")
    budget_bytes: int = Field(3_000_000_000, gt=0, description="Largest payload under /opt/dl-models, in bytes")


class AmiSection(Section):
    """How the AMI is baked."""

    base: str = Field(
        "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id",
        description="Base AMI: an AMI id, or an SSM parameter that holds one; pinned by id before the bake",
    )
    architecture: Literal["x86_64", "arm64"] = Field("x86_64", description="Architecture of the base AMI")
    instance_type: str = Field("m6i.large", description="Instance that copies the files; no GPU is needed")
    volume_gib: int = Field(30, ge=1, description="Root volume in GiB; never smaller than the base AMI's snapshot")
    subnet_id: str | None = Field(None, description="Subnet for the bake; the default VPC's when absent")
    instance_profile: str | None = Field(
        None,
        description="Instance profile for the bake; absent = the base stack's `<project>-bake` with Session Manager, else none",
    )
    ssh_username: str = Field("ec2-user", description="Login of the base AMI")
    ssh_interface: Literal["public_ip", "private_ip", "session_manager"] = Field(
        "session_manager", description="How Packer reaches the instance"
    )
    ssh_port: int = Field(22, ge=1, le=65535, description="Port of sshd on the instance")
    timeout_s: int = Field(
        3600, ge=60, description="Longest wait for the bake and for the AMI to become available, in seconds"
    )


class ImageBaseSection(Section):
    """How the base image is built."""

    requirements: str = Field(
        "requirements.txt", description="Locked requirements with hashes, relative to capctl.yaml"
    )
    python: str = Field(
        "3.12", pattern=r"^3\.\d+$", description="Python minor version of `from_image`; a bootstrapped root has its own"
    )
    from_image: str | None = Field(
        None,
        description="Slim Python image, pinned by digest; absent = a root filesystem bootstrapped from this machine's Debian mirror",
    )


class ImageSection(Section):
    """How the code image is made."""

    repository: Name | None = Field(None, description="ECR repository; the project's name when absent")
    root: str = Field(".", description="Folder that holds the code, relative to capctl.yaml")
    include: tuple[str, ...] = Field(("**/*.py",), description="Patterns of the git-tracked files that ship")
    exclude: tuple[str, ...] = Field((), description="Patterns to leave out of `include`")
    entrypoint: tuple[str, ...] = Field(
        ("python3", "-m", "analyzer", "batch"), description="Entry point, as a list; no shell"
    )
    environment: dict[str, str] = Field({}, description="Environment set in the image")
    budget_compressed_bytes: int = Field(300_000_000, gt=0, description="Largest image in the registry, in bytes")
    budget_unpacked_bytes: int = Field(500_000_000, gt=0, description="Largest image on disk, in bytes")
    base: ImageBaseSection = Field(ImageBaseSection(), description="The base image")


class ReleaseSection(Section):
    """Job and compute parameters of a release."""

    instance_types: tuple[str, ...] = Field(
        ("g5.xlarge", "g4dn.xlarge"), min_length=1, description="Instance types Batch may start"
    )
    max_vcpus: int = Field(40, ge=1, description="Upper limit of the compute environment")
    spot: bool = Field(True, description="Spot instances; false = on demand")
    subnet_ids: tuple[str, ...] = Field((), description="Subnets of the compute environment")
    security_group_ids: tuple[str, ...] = Field((), description="Security groups of the compute environment")
    volume_gib: int = Field(100, ge=1, description="Root volume of the hosts in GiB")
    vcpus: int = Field(4, ge=1, description="vCPUs of a job")
    memory_mib: int = Field(14_000, ge=128, description="Memory of a job in MiB")
    gpus: int = Field(1, ge=0, description="GPUs of a job")
    timeout_s: int = Field(7200, ge=60, description="Longest attempt of a job in seconds")
    attempts: int = Field(
        4, ge=1, le=10, description="Attempts of a job; only lost hosts and temporary failures are retried"
    )
    environment: dict[str, str] = Field({}, description="Environment of every job, such as DATABASE_URL")


class SmokeSection(Section):
    """The real job that gates a release."""

    video_url: str | None = Field(
        None,
        description="Video to analyse, below `samples/` or `videos/` of the bucket; needed by `deploy` and `smoke`",
    )
    timeout_s: int = Field(1800, ge=10, description="Longest wait for the smoke job in seconds")
    min_tracks: int = Field(1, ge=0, description="Tracks that the result must hold at least")
    database_url: str | None = Field(
        None, description="PostgreSQL URL, as seen from here, to count the stored rows; absent = not counted"
    )


class StackSection(Section):
    """Where Pulumi keeps its state."""

    state: str = Field(
        "s3", description="`s3` = the state bucket of the project, or a `s3://…` or `file://…` backend URL"
    )
    secrets_provider: str = Field("passphrase", description="Pulumi secrets provider, such as `awskms://alias/capctl`")
    keep_releases: int = Field(
        2, ge=1, le=10, description="Releases that stay deployable for rollback, the active one included"
    )


class Settings(Section):
    """Everything that may be set for all targets under `defaults`, and again for one target."""

    models: ModelsSection = Field(ModelsSection(), description="The model set")
    ami: AmiSection = Field(AmiSection(), description="The AMI bake")
    image: ImageSection = Field(ImageSection(), description="The container image")
    release: ReleaseSection = Field(ReleaseSection(), description="Job and compute parameters")
    smoke: SmokeSection = Field(SmokeSection(), description="The gate")
    stack: StackSection = Field(StackSection(), description="Infrastructure state")


class TargetSection(Settings):
    """One place to act in; everything under `defaults` may be overridden here."""

    account: AccountId = Field(description="AWS account id; capctl refuses to act in another")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$", description="AWS region")
    profile: str | None = Field(None, description="Profile of the AWS configuration files")
    endpoint_url: Url | None = Field(None, description="Address of every AWS API, for an emulator")
    registry_url: Url | None = Field(
        None, description="Address of the container registry, when it is not the account's ECR"
    )


class Config(Section):
    """The whole file."""

    schema_name: Literal["capctl.config/1"] = Field(
        "capctl.config/1", alias="schema", description="Version of this format"
    )
    project: Name = Field(description="Name of the project; prefix of every resource")
    default_target: str | None = Field(None, description="Target when `--target` and CAPCTL_TARGET are absent")
    defaults: Settings = Field(Settings(), description="Settings for all targets")
    targets: dict[Name, TargetSection] = Field(min_length=1, description="Targets by name")
