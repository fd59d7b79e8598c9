"""Programs that belong first on PATH of whoever works on a stage: modules of this interpreter under names of their own."""

import shlex
import sys
from pathlib import Path


def write_program(folder: Path, name: str, module: str) -> Path:
    """Write the executable `name`, which runs `module`, into `folder`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    # Whoever starts the program signals the process that he started, so the shell must become it. It may be started in a project
    # whose packages have the names of ours (`analyzer`), hence -P.
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n')
    program.chmod(0o755)
    return program
