"""The locked requirements that the base image installs, and the contract that tells which of them the AMI brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.config.target import Target
from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from images.base.contract import RuntimeContract


def requirements_lock(target: Target) -> Path:
    """The file. Raises `CapctlError("requirements-missing")`."""
    lock = target.path(target.settings.image.base.requirements)
    if not lock.is_file():
        raise CapctlError(
            "requirements-missing",
            f"The locked requirements `{lock}` do not exist",
            hint="Correct `image.base.requirements` in capctl.yaml",
        )
    return lock


def contract_file(target: Target) -> Path | None:
    """Where the runtime contract is, if there is one; not whether it is there."""
    name = target.settings.image.base.runtime_contract
    return target.path(name) if name else None


def runtime_contract(target: Target) -> RuntimeContract | None:
    """The contract. Raises `CapctlError("base-invalid")`."""
    path = contract_file(target)
    if path is None:
        return None
    if not path.is_file():
        raise CapctlError(
            "base-invalid",
            f"The runtime contract `{path}` does not exist",
            hint="Get it from git, or write it from the runtime of the models with `capctl models contract`; else correct "
            "`image.base.runtime_contract` in capctl.yaml",
        )
    from images.base.contract import read_contract
    from lifecycle.adapters.image_errors import image_errors_translated

    with image_errors_translated():
        return read_contract(path)
