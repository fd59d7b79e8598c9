"""The executable by which the Pulumi engine finds the provider."""

import shlex
import sys
from pathlib import Path

NAME = "pulumi-resource-aws"


def write_shim(folder: Path) -> Path:
    """Write the executable into `folder`, which belongs first on PATH of whatever starts the engine; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    shim = folder / NAME
    # The engine watches the process it starts, so the shell must become the provider.
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lifecycle.rehearsal.provider "$@"\n')
    shim.chmod(0o755)
    return folder
