"""Deployments of a target: whose turn it is, and what became of those before."""

from contextlib import AbstractContextManager
from typing import Protocol

from lifecycle.domain.deployment import Deployment, Holder, Standing


class Turn(Protocol):
    """The turn of one run. `number` is greater than that of every turn before."""

    number: int
    holder: Holder

    def require(self) -> None:
        """Raises `CapctlError("turn-lost")` when another run may have the turn by now: nothing may be changed any more."""


class Deployments(Protocol):
    """Errors: `Denied`, `CapctlError("base-missing")`."""

    def turn(self, run_id: str, command: str) -> AbstractContextManager[Turn]:
        """The turn to change what is deployed, which one run has at a time, for as long as the block runs.

        One whose holder is provably dead is taken over: the process does not exist any more, or it has shown no life for as long as a
        turn counts. Raises `CapctlError("deploy-locked")`, which names the holder.
        """

    def write(self, deployment: Deployment) -> None:
        """Keep what is known of a deployment, in the place of what was known before."""

    def recent(self, count: int) -> tuple[Deployment, ...]:
        """The last deployments, newest first and at most 100, however many turns were taken for something else meanwhile."""

    def standing(self, count: int) -> Standing:
        """The last `count` deployments and who has the turn; one who did not give it back is told until that is certain to be dead."""
