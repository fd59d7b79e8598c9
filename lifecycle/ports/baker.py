"""Turning a model set and a base AMI into an AMI."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.digest import Digest
from lifecycle.domain.models import ModelSet
from lifecycle.domain.place import Place
from lifecycle.errors import CapctlError

# Longer than `ami.timeout_s` and this no bake lives: so many seconds a cancelled one gets to clean up.
GRACE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeRequest:
    """`downloads` maps each model path to a URL that the instance can read; `tags` go on everything the bake makes."""

    ami_name: str
    base: AmiRecord
    models: ModelSet
    downloads: dict[str, str]
    tags: dict[str, str]
    run_id: str
    place: Place


class AmiNameTaken(CapctlError):
    """Another bake made an AMI of the same name first; code `ami-name-taken`."""


class Baker(Protocol):
    """Errors: `UsageError("packer-missing" | "session-manager-plugin-missing")`,
    `CapctlError("bake-failed" | "payload-mismatch" | "object-missing")`, `AmiNameTaken`,
    `Denied`, `Inconclusive("no-capacity" | "aws-throttled")`, `TimedOut("ami-pending" | "bake-timed-out" | "instance-unreachable")`.
    """

    def recipe(self) -> Digest:
        """Digest of the template, the provisioners and the parameters that shape the result."""

    def commit(self) -> str:
        """The git commit that the lock file is checked out from: 40 hex digits, with `-dirty` when tracked files differ from it; ""
        without git or outside a repository."""

    def require_programs(self) -> None:
        """Raises `UsageError` when this machine lacks a program that the bake needs."""

    def bake(self, request: BakeRequest, accept: Callable[[dict[str, Any]], None]) -> AmiId:
        """Run the bake and return its AMI; when it raises, no instance and no AMI of this run is left behind.

        Only an AMI whose payload was accepted stays while AWS makes its snapshot: the error names it.

        `accept` is called once with what the instance reports of its payload, as soon as it reports it; when `accept` raises,
        the bake ends with that error.
        """
