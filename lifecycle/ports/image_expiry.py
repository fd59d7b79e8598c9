"""What ECR removes from the repository by itself."""

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
