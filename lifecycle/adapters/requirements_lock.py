"""The locked requirements that the base image installs."""

from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.errors import CapctlError


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
