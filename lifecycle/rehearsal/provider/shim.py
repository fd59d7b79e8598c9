"""The executable by which the Pulumi engine finds the provider."""

from pathlib import Path

from lifecycle.rehearsal.programs import write_program

NAME = "pulumi-resource-aws"


def write_shim(folder: Path) -> Path:
    """Write the executable into `folder`, which belongs first on PATH of whatever starts the engine; returns `folder`."""
    write_program(folder, NAME, "lifecycle.rehearsal.provider")
    return folder
