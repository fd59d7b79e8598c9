"""Which files of a working tree are the code: tracked by git, included, not excluded, never development matter."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from images.errors import CodeUnreadable
from images.globs import matches
from images.names import in_image, on_disk
from images.never import NEVER_CODE

EVERYTHING = ("**",)

# Left out unless the caller passes its own `exclude`.
DEFAULT_EXCLUDE = ("docs/**", ".*", ".*/**", "**/README.md")


def select_files(
    root: Path, include: Sequence[str] = EVERYTHING, exclude: Sequence[str] = DEFAULT_EXCLUDE
) -> tuple[str, ...]:
    """Paths below `root`, `/`-separated, sorted by bytes: those tracked by git, or all where there is no git checkout.

    `NEVER_CODE` wins over `exclude`, which wins over `include`. Tracked files deleted from the working tree are left out.
    Raises: CodeUnreadable, if `root` is no folder or git cannot read the checkout.
    """
    if not root.is_dir():
        message = f"`{root}` is not a folder"
        raise CodeUnreadable(message, hint="Name the folder that holds the code of the job")
    if git_top(root):
        names = [name for name in _git_files(root, "--cached") if os.path.lexists(f"{root}/{on_disk(name)}")]
    else:
        names = [
            in_image(path.relative_to(root).as_posix())
            for path in root.rglob("*")
            if path.is_symlink() or not path.is_dir()
        ]
    return _filtered(names, include, exclude)


def would_ship(name: str, include: Sequence[str] = EVERYTHING, exclude: Sequence[str] = DEFAULT_EXCLUDE) -> bool:
    """Whether a file of that name is code, if git tracks it where it is asked."""
    return bool(_filtered([name], include, exclude))


def _filtered(names: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> tuple[str, ...]:
    chosen = {
        name
        for name in names
        if matches(name, include) and not matches(name, NEVER_CODE) and not matches(name, exclude)
    }
    return tuple(sorted(chosen, key=lambda name: name.encode(errors="surrogateescape")))


def git_top(root: Path) -> Path | None:
    """The top folder of the git checkout that `root` is in, None where it is in none."""
    resolved = root.resolve()
    return next((folder for folder in (resolved, *resolved.parents) if (folder / ".git").exists()), None)


def _git_files(root: Path, *which: str) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *which, "--", "."]
    try:
        ran = subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError as err:
        message = f"`{root}` is a git checkout, but `git` is not installed"
        raise CodeUnreadable(message, hint="Install git, or export the code to a folder without `.git`") from err
    except subprocess.CalledProcessError as err:
        reason = err.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        message = f"git cannot list the files of `{root}`: {reason[0]}"
        raise CodeUnreadable(message, hint=f"Run `git -C {root} ls-files` and mend what it reports") from err
    return [name for name in ran.stdout.decode(errors="surrogateescape").split("\0") if name]
