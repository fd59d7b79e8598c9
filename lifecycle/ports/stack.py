"""Infrastructure as code: the base stack, and the releases that shall exist."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lifecycle.domain.recorded import StackRecord
from lifecycle.domain.release import DeployedRelease, Release


class Operation(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """One change of a preview or an update; `release_id` is None for what belongs to no release."""

    operation: Operation
    type: str
    name: str
    release_id: str | None = None

    @property
    def line(self) -> str:
        """What is done to which resource, for people."""
        return f"{self.operation} {self.type} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseOutputs:
    """What the base stack made. One that an earlier capctl made lacks what has a default.

    The subnets and security groups are those of the project's own network, where it has one.
    """

    bucket: str
    repository: str
    table: str
    log_group: str
    job_role_arn: str
    execution_role_arn: str
    instance_profile_arn: str
    queue_url: str = ""
    dead_letters_url: str = ""
    tasks_table: str = ""
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"bucket {self.bucket}, repository {self.repository}"


class Stack(Protocol):
    """Errors: `CapctlError("pulumi-missing" | "stack-failed" | "stack-locked")`, `Denied`."""

    def preview_base(self) -> tuple[ResourceChange, ...]:
        """What `apply_base` would change."""

    def apply_base(self) -> BaseOutputs:
        """Create or update the base stack."""

    def base(self) -> BaseOutputs:
        """Outputs of the base stack; raises `CapctlError("base-missing")` before the first `apply_base`."""

    def releases(self) -> tuple[DeployedRelease, ...]:
        """The releases that exist, oldest first, whichever version of capctl made them."""

    def half_made(self) -> frozenset[str]:
        """Ids of the releases of which something exists and something is missing, or never came to life."""

    def recorded(self) -> StackRecord:
        """What `releases` and `half_made` tell, and what the releases were made with, all in one read."""

    def preview_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[ResourceChange, ...]:
        """What `add_release` would change."""

    def add_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        """Make `release` exist beside those that exist once this run holds the stack's lock; returns all.

        Those stay as they are, also where this version of capctl would make them otherwise. Finishes what a run left of `release` that
        was killed or got no answer, and clears what one left of others, but of those whose ids are `needed`: whatever exists of them stays.
        """

    def remove_releases(self, ids: Collection[str], *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        """Delete these releases, and what a killed run left half made but of those that are `needed`; returns the others.

        A deletion that AWS refuses only for a while is tried again.
        """
