"""The pointer: which release takes new jobs, and which did."""

from collections.abc import Collection
from typing import Protocol

from lifecycle.domain.release import Pointer


class Pointers(Protocol):
    """Errors: `Denied`, `CapctlError("base-missing")`.

    A release is retired before it is removed, in one write with the look whether the pointer needs it: no move leads to what is being
    removed, and nothing is removed that a move leads to, however the two runs meet.
    """

    def read(self) -> Pointer | None:
        """The pointer, read consistently; None before the first promotion."""

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        """Replace the pointer if its version is `expected_version` (0 = none yet), and keep this one among the past ones.

        Raises `CapctlError("pointer-moved")` when somebody else was first, `CapctlError("release-retired")` for a retired release.
        """

    def past(self, versions: Collection[int]) -> tuple[Pointer, ...]:
        """What the pointer was in these versions, newest first; those that nobody kept are not in it."""

    def retire(self, release_id: str) -> None:
        """Let no move lead to the release any more.

        Raises `CapctlError("release-active")` when the pointer names it, as active or before.
        """

    def readmit(self, release_id: str) -> None:
        """Let moves lead to the release again."""
