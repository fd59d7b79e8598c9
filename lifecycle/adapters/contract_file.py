"""The contract of a runtime, beside the other files of the project."""

from __future__ import annotations

from pathlib import Path

from images.digests import write_atomically
from lifecycle.adapters.requirements_lock import contract_file
from lifecycle.config.target import Target
from lifecycle.errors import CapctlError, UsageError


class ProjectContract:
    """`ports.ContractFile`."""

    def __init__(self, target: Target) -> None:
        self._path = contract_file(target)
        self._name = target.settings.image.base.runtime_contract or ""

    @property
    def name(self) -> str:
        return self._name

    def read(self) -> bytes | None:
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused("read", error) from error

    def write(self, content: bytes) -> None:
        try:
            write_atomically(self._file, content)
            self._file.chmod(0o644)
        except OSError as error:
            raise self._refused("written", error) from error

    @property
    def _file(self) -> Path:
        if self._path is None:
            raise UsageError(
                "runtime-contract-unset",
                "`image.base.runtime_contract` names no file",
                hint="Set it in capctl.yaml, such as to `models/runtime/contract.json`, the place in the model set itself",
            )
        return self._path

    def _refused(self, what: str, error: OSError) -> CapctlError:
        return CapctlError(
            "runtime-contract-refused",
            f"`{self._path}` cannot be {what}: {error.strerror}",
            hint="Make it and its folder writable, or correct `image.base.runtime_contract`",
        )
