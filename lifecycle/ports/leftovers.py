"""What bakes that ended badly left in EC2."""

from collections.abc import Collection
from typing import Protocol

from lifecycle.domain.sweep import Leftover


class Leftovers(Protocol):
    """Errors: `Denied`, `Inconclusive("aws-throttled")`, `CapctlError("aws-failed")`."""

    def find(self, *, named: Collection[str] = ()) -> tuple[Leftover, ...]:
        """Instances that still exist, unattached volumes, snapshots without their AMI and half-made AMIs of the project's bakes, and the
        temporary key pairs and security groups of every Packer; never what is marked as another project's. AMIs and instances whose
        ids are `named` count as the project's."""

    def remove(self, item: Leftover) -> None:
        """Remove one; an AMI goes with its snapshots. What is gone already is no failure.

        Raises `PartlyApplied("snapshot-left")` when an AMI is gone and one of its snapshots is not.
        """

    def exists(self, item: Leftover) -> bool:
        """Whether it is still there; an instance is until it is terminated."""
