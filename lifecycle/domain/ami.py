"""AMIs: what goes into a bake, how the result is named and tagged, and which states it passes."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from lifecycle.domain.digest import Digest, canonical_json, digest_of, short
from lifecycle.errors import UsageError

AmiId = NewType("AmiId", str)

_AMI_ID = re.compile(r"ami-[0-9a-z]{8,32}")


class AmiStatus(StrEnum):
    """How far an AMI has come, as its tag tells it: a candidate is complete, a verified one passed every check."""

    CANDIDATE = "candidate"
    VERIFIED = "verified"


class Tag(StrEnum):
    """Tag keys on AMIs, their snapshots and the instances that bake them."""

    BAKE_DIGEST = "capctl:bake-digest"
    MODEL_SET = "capctl:model-set"
    BASE_AMI = "capctl:base-ami"
    RECIPE = "capctl:recipe"
    GIT = "capctl:git"
    RUN = "capctl:run"
    STATUS = "capctl:status"
    PROJECT = "capctl:project"
    EVIDENCE = "capctl:evidence"


def parse_ami_id(text: str) -> AmiId:
    """Raises `UsageError` unless `text` looks like `ami-0123456789abcdef0`."""
    if not _AMI_ID.fullmatch(text):
        raise UsageError("ami-id-invalid", f"`{text}` is not an AMI id", hint="Pick one from `capctl ami ls`")
    return AmiId(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeInputs:
    """Everything that decides what a bake produces; time, user and run do not enter."""

    model_set: Digest
    base_ami: AmiId
    recipe: Digest
    architecture: str

    @property
    def digest(self) -> Digest:
        """The bake digest: same digest and a verified AMI mean nothing is to be done."""
        return digest_of(
            canonical_json(
                {
                    "model_set": self.model_set,
                    "base_ami": self.base_ami,
                    "recipe": self.recipe,
                    "architecture": self.architecture,
                }
            )
        )

    def ami_name(self, project: str) -> str:
        """The deterministic AMI name, which AWS keeps unique: of two bakes at once one loses and adopts the other's AMI."""
        return f"{project}-models-{short(self.digest)}-{self.base_ami.removeprefix('ami-')[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiRecord:
    """An AMI as EC2 describes it. `created` is ISO 8601 in UTC; `imds_v2`: its instances answer token requests only."""

    id: AmiId
    name: str
    state: str
    state_reason: str
    created: str
    architecture: str
    snapshot_ids: tuple[str, ...]
    size_gib: int
    tags: dict[str, str]
    root_device: str = "/dev/xvda"
    imds_v2: bool = False

    @property
    def status(self) -> AmiStatus | None:
        """The capctl status, or None for an AMI that capctl did not bake."""
        value = self.tags.get(Tag.STATUS, "")
        return AmiStatus(value) if value in set(AmiStatus) else None
