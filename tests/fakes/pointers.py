"""`ports.Pointers` in memory."""

from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError


class FakePointers:
    """One pointer, moved by compare-and-set."""

    def __init__(self) -> None:
        self._pointer: Pointer | None = None

    def read(self) -> Pointer | None:
        return self._pointer

    def move(self, pointer: Pointer, *, expected_version: int) -> None:
        if (self._pointer.version if self._pointer else 0) != expected_version:
            raise CapctlError("pointer-moved", "Somebody else moved the pointer", hint="Look at `capctl status`")
        self._pointer = pointer
