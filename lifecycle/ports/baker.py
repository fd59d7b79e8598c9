"""Turning a model set and a base AMI into an AMI."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest
from lifecycle.domain.models import ModelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeRequest:
    """`downloads` maps each model path to a URL that the instance can read; `tags` go on everything the bake makes."""

    ami_name: str
    base_ami: AmiId
    models: ModelSet
    downloads: dict[str, str]
    tags: dict[str, str]
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeResult:
    """`evidence` is what the instance reported of its payload before the snapshot: the marker as re-read from disk."""

    ami_id: AmiId
    evidence: dict[str, Any]
    log: Path


class Baker(Protocol):
    """Errors: `CapctlError("packer-missing" | "bake-failed" | "payload-mismatch")`, `Denied`, `Inconclusive("no-capacity")`, `TimedOut`."""

    def recipe(self) -> Digest:
        """Digest of the template, the provisioners and the parameters that shape the result."""

    def bake(self, request: BakeRequest) -> BakeResult:
        """Run the bake; when it raises, no instance and no AMI of this run is left behind."""
