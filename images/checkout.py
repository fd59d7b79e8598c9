"""Which commit a working tree is, and what of its code is in no commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from images.selection import DEFAULT_EXCLUDE, EVERYTHING, git_top, would_ship


class Checkout(NamedTuple):
    """`commit` is the full id of HEAD, "" where there is none. `uncommitted`: tracked files of the code, as paths below its folder, whose
    content, mode or presence is not that of the commit, staged or not; sorted."""

    commit: str = ""
    uncommitted: tuple[str, ...] = ()


class CheckoutQuestion:
    """Git's answer about the folder `root`, which it works out while others do something else."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = git_top(root)
        self._asked: subprocess.Popen[bytes] | None = None
        if self._top is None:
            return
        words = (
            "status",
            "--porcelain=v2",
            "--branch",
            "-z",
            "--untracked-files=no",
            "--no-renames",
            "--ignore-submodules=all",
        )
        with suppress(OSError):  # without git nothing is known of a commit, and who lists the files says so
            self._asked = subprocess.Popen(
                ["git", "-C", str(root), *words, "--", "."],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Nobody else who uses the checkout shall wait for a look at it.
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )

    def answer(self, include: Sequence[str] = EVERYTHING, exclude: Sequence[str] = DEFAULT_EXCLUDE) -> Checkout:
        """Of the code that `include` and `exclude` choose; empty where there is no checkout that git can read."""
        if self._asked is None or self._top is None:
            return Checkout()
        out, _ = self._asked.communicate()
        if self._asked.returncode:
            return Checkout()
        below = self._root.resolve().relative_to(self._top).as_posix()
        prefix = "" if below == "." else f"{below}/"
        commit, changed = "", []
        for line in out.decode(errors="surrogateescape").split("\0"):
            if line.startswith("# branch.oid ") and "(" not in line:
                commit = line.rpartition(" ")[2]
            elif line.startswith("1 "):
                changed.append(line.split(" ", 8)[8].removeprefix(prefix))
            elif line.startswith("u "):
                changed.append(line.split(" ", 10)[10].removeprefix(prefix))
        return Checkout(commit, tuple(sorted(name for name in changed if would_ship(name, include, exclude))))
