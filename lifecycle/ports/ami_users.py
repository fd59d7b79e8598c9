"""Everything of the account that names AMIs in the target's region."""

from typing import Protocol

from lifecycle.domain.usage import UseReport


class AmiUsers(Protocol):
    """What uses AMIs beside releases and channels; the parameters that channels are made of are told like any others."""

    def scan(self, *, template_versions: int) -> UseReport:
        """Every use of every AMI and snapshot by instances, launch templates, Auto Scaling groups, Batch, fleets and parameters.

        Of a launch template the default version, the `template_versions` newest ones and those that anything names are uses. Never
        raises: a source that cannot be read to its end is told as unread.
        """
