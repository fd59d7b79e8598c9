"""A folder of what can be had again, which does not grow for ever."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path


def used(file: Path) -> None:
    """Note that `file` was of use now."""
    with suppress(OSError):
        os.utime(file)


def trim(folder: Path, *, most_bytes: int) -> None:
    """Remove the files of `folder` that were not of use for the longest time, until the others hold at most `most_bytes`.

    Runs beside others that do the same, or write there. What cannot be removed stays.
    """
    with suppress(OSError):
        files = sorted(
            ((entry.stat(), entry.path) for entry in os.scandir(folder)), key=lambda one: -one[0].st_mtime_ns
        )
        total = 0
        for status, path in files:
            total += status.st_size
            if total > most_bytes:
                with suppress(OSError):
                    Path(path).unlink()


def remove_older(folder: Path) -> None:
    """Remove the folders beside `folder` that are named as it is, with a lower number at the end."""
    name = re.fullmatch(r"(.*?)(\d+)", folder.name)
    if name is None:
        return
    with suppress(OSError):
        for each in folder.parent.iterdir():
            other = re.fullmatch(rf"{re.escape(name[1])}(\d+)", each.name)
            if other and int(other[1]) < int(name[2]):
                shutil.rmtree(each, ignore_errors=True)
