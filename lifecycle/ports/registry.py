"""The target's repository in the container registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.image_content import ImageContent
    from lifecycle.domain.image_report import ImageIndex


class Registry(Protocol):
    """Errors: `CapctlError("registry-unreachable" | "registry-refused" | "repository-missing" | …)`, `Denied`."""

    def find(self, tag: str) -> ImageRef | None:
        """What the tag, or the digest, names; None where the repository has no such image."""

    def tag(self, ref: ImageRef, tag: str) -> None:
        """Let a tag name an image of the repository, besides those that do; nothing happens where it does.

        Raises `CapctlError("image-missing" | "tag-immutable")`.
        """

    def index(self, ref: ImageRef) -> ImageIndex:
        """What the image holds, read without an engine. Raises `CapctlError("image-missing" | "manifest-unsupported")`.

        `UsageError("repository-foreign")` for an image of another repository.
        """

    def content(self, ref: ImageRef) -> ImageContent:
        """The image itself; its layers come when they are read. Raises as `index` does."""
