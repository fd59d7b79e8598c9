"""The base image: the system, Python and the packages of the lock, built by a container engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.domain.image import TaggedImage


class BaseBuilder(Protocol):
    """Errors: `CapctlError("requirements-missing" | …)` and those of `ports.Registry`."""

    def packages(self) -> frozenset[str]:
        """`name==version` of what the current lock puts into the image, with normalised names; the AMI's runtime brings the others."""

    def runtime_modules(self) -> frozenset[str]:
        """Top-level modules that code may import though the image does not hold them: those of the runtime contract."""

    def tag(self) -> str:
        """The tag of the base image that the current lock asks for."""

    def find(self) -> TaggedImage | None:
        """That image, if the registry has it."""

    def required(self) -> TaggedImage:
        """That image; may be remembered instead of asked for.

        Raises `CapctlError("base-missing")` if the registry lacks it, and where it is no registry, or says that it has no such repository,
        `CapctlError("registry-missing" | "repository-missing")`.
        """

    def build(self) -> TaggedImage:
        """Build it with the container engine and push it, unless the registry has it. Raises `CapctlError("engine-missing")`."""
