"""The executable by which the Pulumi engine finds the provider, and the process that it asks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from lifecycle.rehearsal.child import Child
from lifecycle.rehearsal.provider import ask_standby

NAME = "pulumi-resource-aws"
_START_TIMEOUT_S = 60.0


def start_provider(folder: Path, rehearsal: str, *, orphan: bool = False) -> Child:
    """Write the executable into `folder`, which belongs first on PATH of whatever starts the engine, and start the process that it asks.

    The process ends with this one, unless it is an `orphan`. Raises: PartFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket, program = folder.absolute() / "provider.socket", folder / NAME
    asking = (sys.executable, "-I", "-S", ask_standby.__file__, str(socket))
    # Whoever starts the program signals the process that he started, so the shell must become it.
    program.write_text(f'#!/bin/sh\nexec {shlex.join(asking)} "$@"\n')
    program.chmod(0o755)
    command = (sys.executable, "-P", "-m", "lifecycle.rehearsal.provider.standby", str(socket))
    child = Child(
        "provider",
        [*command, *(["--orphan"] if orphan else [])],
        log=folder.parent / "provider.log",
        rehearsal=rehearsal,
    )
    child.await_ready(socket.exists, timeout_s=_START_TIMEOUT_S)
    return child
