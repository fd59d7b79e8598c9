"""What bakes that ended badly left in EC2."""

from collections.abc import Collection
from typing import Protocol

from lifecycle.domain.sweep import Leftover
from lifecycle.domain.waiting import Wait
from lifecycle.errors import TimedOut
from lifecycle.ports.clock import Clock
from lifecycle.ports.wait import wait_for

# An instance needs minutes to end; everything else is gone at once, or soon.
_GONE = Wait(shortest_s=0.25, longest_s=15.0, timeout_s=600.0)


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


def await_gone(leftovers: Leftovers, item: Leftover, clock: Clock) -> None:
    """Wait until it is gone, for at most ten minutes. Raises `TimedOut("leftover-stays")`, and as `Leftovers`."""
    wait_for(
        lambda: leftovers.exists(item),
        lambda is_there: not is_there,
        _GONE,
        clock,
        timed_out=lambda _: still_there(str(item)),
    )


def still_there(what: str) -> TimedOut:
    """The error for what should be gone; `what` begins a sentence."""
    return TimedOut("leftover-stays", f"{what} is still there", hint="Run `capctl ami sweep` again")
