"""The file that tells what the runtime of the model set holds."""

from typing import Protocol


class ContractFile(Protocol):
    """The file of `image.base.runtime_contract`.

    Errors: `UsageError("runtime-contract-unset")`, `CapctlError("runtime-contract-refused")`.
    """

    @property
    def name(self) -> str:
        """As the configuration names it."""

    def read(self) -> bytes | None:
        """Its content, or None before it was first written."""

    def write(self, content: bytes) -> None:
        """Replace the file, whole or not at all."""
