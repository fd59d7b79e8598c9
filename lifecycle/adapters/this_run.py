"""Who runs what, from which commit."""

import getpass
import os
import subprocess
import time
from pathlib import Path

from lifecycle.domain.run import Run


def this_run(command: str, *, reason: str = "", folder: Path | None = None) -> Run:
    """A run of `command`, such as `capctl ami bake`; the git commit is the one checked out in `folder` (here, when absent)."""
    started = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return Run(
        id=f"{started}-{os.urandom(3).hex()}",
        command=command,
        user=_user(),
        git_commit=git_commit(folder or Path()),
        reason=reason,
    )


def git_commit(folder: Path) -> str:
    """40 hex digits, with `-dirty` when tracked files differ from it; empty without git or outside a repository."""
    asked = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return f"uid-{os.getuid()}"
