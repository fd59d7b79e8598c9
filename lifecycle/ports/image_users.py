"""Everything of the account that names images of the target's repository."""

from typing import Protocol

from lifecycle.domain.usage import UseReport


class ImageUsers(Protocol):
    """What uses images beside releases and the working tree."""

    def scan(self, *, template_versions: int) -> UseReport:
        """Every use of an image, by digest or by tag, by Batch, ECS, AMIs, launch templates and parameters.

        Of a launch template the default version and the `template_versions` newest ones count. Never raises: a source that cannot be
        read to its end is told as unread.
        """
