"""The images that the target's repository holds."""

from collections.abc import Collection, Mapping
from typing import Protocol

from lifecycle.domain.digest import Digest
from lifecycle.domain.repository_image import ManifestContent, RepositoryImage


class RepositoryImages(Protocol):
    """Errors: `CapctlError("repository-missing")`, `Denied`."""

    def list(self) -> tuple[RepositoryImage, ...]:
        """Every image, newest first."""

    def contents(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        """What the manifests of `images` name; one that is gone is left out. The first look at a manifest counts as a pull, which `list`
        tells from then on.

        Raises `CapctlError("manifest-unsupported" | "digest-mismatch")` for one that cannot be read.
        """

    def known(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        """What the manifests of those name that were looked at before, or pushed, on this machine; no pull. Raises as `contents`."""

    def exists(self, digest: Digest) -> bool:
        """Whether the repository has it."""

    def delete(self, digests: Collection[Digest]) -> Mapping[Digest, str]:
        """Delete images with all their tags; returns those that stay, and why. One that is gone already is no failure."""
