"""What ECR removes from the repository by itself, and the tags that keep it from that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.domain.lifecycle_policy import Expiring


class ImageExpiry(Protocol):
    """Errors: `CapctlError("repository-missing")`, `Denied`."""

    def policy(self) -> str | None:
        """The text of the repository's lifecycle policy; None where nothing expires.

        Raises `CapctlError("repository-missing")` before the first `bootstrap`.
        """

    def preview(self, policy: str) -> tuple[Expiring, ...]:
        """What the text of a policy would expire at this moment, whether the repository has that policy or not; takes ECR some seconds.

        Raises `CapctlError("repository-missing" | "preview-failed")`, `TimedOut("preview-pending")`.
        """

    def drop_tag(self, tag: str) -> bool:
        """Take a tag off its image; False where it is the image's only one, which ECR would delete with it, so it stays.

        A tag that does not exist is dropped.
        """
