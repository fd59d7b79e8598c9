"""Which commit a working tree is, and what of its code is in no commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from images.selection import DEFAULT_EXCLUDE, EVERYTHING, git_top, would_ship


class Checkout(NamedTuple):
    """`commit` is the full id of HEAD, "" where there is none. `uncommitted`: tracked files of the code, as paths below its folder, whose
    content, mode or presence is not that of the commit, staged or not; `untracked`: files that would be code if git tracked them, and that
    it was not told to ignore; both sorted. `is_in_git`: whether the code is in a checkout at all."""

    commit: str = ""
    uncommitted: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    is_in_git: bool = True


class CheckoutQuestion:
    """Git's answer about the code that `include` and `exclude` choose of `root`; it works it out while others do something else."""

    def __init__(
        self, root: Path, include: Sequence[str] = EVERYTHING, exclude: Sequence[str] = DEFAULT_EXCLUDE
    ) -> None:
        self._root = root
        self._include, self._exclude = include, exclude
        self._top = git_top(root)
        self._asked: subprocess.Popen[bytes] | None = None
        if self._top is None:
            return
        words = (
            "status",
            "--porcelain=v2",
            "--branch",
            "-z",
            "--untracked-files=all",
            "--no-renames",
            "--ignore-submodules=all",
        )
        with suppress(OSError):  # without git nothing is known of a commit, and who lists the files says so
            self._asked = subprocess.Popen(
                ["git", "-C", str(root), *words, "--", *_places(include)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Nobody else who uses the checkout shall wait for a look at it.
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            )

    def answer(self) -> Checkout:
        """Empty where there is no checkout that git can read."""
        if self._top is None:
            return Checkout(is_in_git=False)
        if self._asked is None:
            return Checkout()
        out, _ = self._asked.communicate()
        if self._asked.returncode:
            return Checkout()
        below = self._root.resolve().relative_to(self._top).as_posix()
        prefix = "" if below == "." else f"{below}/"
        commit, changed, untracked = "", [], []
        for line in out.decode(errors="surrogateescape").split("\0"):
            if line.startswith("# branch.oid ") and "(" not in line:
                commit = line.rpartition(" ")[2]
            elif line.startswith("1 "):
                changed.append(line.split(" ", 8)[8].removeprefix(prefix))
            elif line.startswith("u "):
                changed.append(line.split(" ", 10)[10].removeprefix(prefix))
            elif line.startswith("? ") and not line.endswith("/"):  # a checkout of its own ends so
                untracked.append(line[2:].removeprefix(prefix))
        return Checkout(commit, self._code_among(changed), self._code_among(untracked))

    def _code_among(self, names: list[str]) -> tuple[str, ...]:
        return tuple(sorted(name for name in names if would_ship(name, self._include, self._exclude)))


def _places(include: Sequence[str]) -> list[str]:
    """Where git has to look: a walk through what lies beside the code, such as a virtual environment, takes long."""
    places = []
    for glob in include:
        parts = glob.split("/")
        fixed = [*takewhile(lambda part: not {"*", "?"} & {*part}, parts)]
        places.append(f":(literal){'/'.join(fixed)}" if fixed else ".")
    return ["."] if "." in places else places
