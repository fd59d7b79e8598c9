"""The pointer: which release takes new jobs."""

from typing import Protocol

from lifecycle.domain.release import Pointer


class Pointers(Protocol):
    """Errors: `Denied`, `CapctlError("pointer-moved")` when somebody else was first."""

    def read(self) -> Pointer | None:
        """The pointer, read consistently; None before the first promotion."""

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        """Replace the pointer if its version is `expected_version` (0 = none yet); else raises."""
