"""The target a command acts in: the configuration, resolved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.config.schema import Settings
from lifecycle.domain.layout import Folder
from lifecycle.domain.partition import partition_of

if TYPE_CHECKING:
    from lifecycle.domain.lifecycle_policy import LifecyclePolicy
    from lifecycle.domain.proof import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to act. `folder` holds capctl.yaml: relative paths in `settings` start there."""

    name: str
    project: str
    account: str
    region: str
    profile: str | None
    endpoint_url: str | None
    registry_url: str | None
    folder: Path
    settings: Settings

    @property
    def bucket(self) -> str:
        """Bucket for models, smoke videos and results; bucket names are global, so the account is part of it."""
        return f"{self.project}-capctl-{self.account}-{self.region}"

    @property
    def models_uri(self) -> str:
        """Where `models push` puts the model set and `ami bake` fetches it, by content address."""
        return self.uri(Folder.MODELS)

    def uri(self, folder: Folder, name: str = "") -> str:
        """A folder of the bucket, without a slash at its end, or something in it."""
        return f"s3://{self.bucket}/{folder}{f'/{name}' if name else ''}"

    @property
    def repository_name(self) -> str:
        """ECR repository name."""
        return self.settings.image.repository or self.project

    @property
    def repository(self) -> str:
        """The repository as AWS names it; `registry_url` changes the address requests go to, never this name."""
        return f"{self.ecr_host}/{self.repository_name}"

    @property
    def ecr_host(self) -> str:
        """Host of the account's ECR."""
        return f"{self.account}.dkr.ecr.{self.region}.{partition_of(self.region).domain}"

    @property
    def lifecycle_policy(self) -> LifecyclePolicy:
        """What ECR removes from the repository by itself."""
        from lifecycle.domain.lifecycle_policy import lifecycle_policy

        registry = self.settings.image.registry
        return lifecycle_policy(
            bases_beyond=registry.expire_bases_beyond,
            code_days=registry.expire_code_days,
            untagged_days=registry.expire_untagged_days,
        )

    @property
    def table(self) -> str:
        """DynamoDB table of the pointer."""
        return f"{self.project}-capctl"

    @property
    def tasks_table(self) -> str:
        """DynamoDB table of what the queue of new videos asked for."""
        return f"{self.project}-tasks"

    @property
    def bake_profile(self) -> str | None:
        """Instance profile of the bake: the configured one, or the base stack's where Session Manager cannot do without."""
        ami = self.settings.ami
        own = f"{self.project}-bake" if ami.ssh_interface == "session_manager" else None
        return ami.instance_profile or own

    @property
    def proof_level(self) -> Level:
        """What an AMI must have passed to be given away: to a channel, a release, another region or another account."""
        from lifecycle.domain.proof import Level

        return Level.BOOT if self.settings.ami.verify_boot else Level.PAYLOAD

    @property
    def log_group(self) -> str:
        """Log group of the jobs."""
        return f"/{self.project}/jobs"

    def path(self, relative: str) -> Path:
        """A path of the configuration, from the folder that holds capctl.yaml."""
        return self.folder / relative
