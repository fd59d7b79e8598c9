"""The lock file: the model set that the team agreed on."""

from typing import Protocol

from lifecycle.domain.models import ModelSet


class ModelLock(Protocol):
    """Errors: `UsageError("lock-invalid")`, `CapctlError("lock-unwritable")`."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""

    def read(self) -> ModelSet | None:
        """The locked set, or None before the first lock."""

    def write(self, models: ModelSet) -> None:
        """Replace the file, whole or not at all."""
