"""Everything of the account that names AMIs in the target's region."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from lifecycle.domain.ami import AmiId
from lifecycle.domain.usage import UseReport


class AmiUsers(Protocol):
    """Errors of `channels`: `Denied`, `CapctlError("aws-unreachable" | "aws-failed")`."""

    def scan(self, *, template_versions: int) -> UseReport:
        """Every use of every AMI and snapshot by instances, launch templates, Auto Scaling groups, Batch, fleets and parameters.

        Of a launch template the default version, the `template_versions` newest ones and those that anything names are uses. Never
        raises: a source that cannot be read to its end is told as unread.
        """

    def channels(self, project: str) -> Mapping[str, Sequence[AmiId]]:
        """The AMIs that each channel of a project names or named, newest first."""
