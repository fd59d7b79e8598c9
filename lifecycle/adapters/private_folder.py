"""A folder that one run of Packer or Pulumi works in: private, short-named, and removed even when its owner was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A new folder that only this user can enter. Those of killed runs with the same `prefix` are removed first.

    It lies in the system's temporary folder, because Packer makes sockets in it, whose paths must be short.
    """
    for folder in abandoned(prefix):
        remove_abandoned(folder)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
        (Path(name) / _LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets it go with the process, however that ends
        yield Path(name)


def abandoned(prefix: str) -> tuple[Path, ...]:
    """This user's folders of that name that lost their owner."""
    return tuple(folder for folder in sorted(Path(tempfile.gettempdir()).glob(f"{prefix}*")) if _is_free(folder))


def remove_abandoned(folder: Path) -> None:
    """Remove such a folder; one that has an owner stays."""
    with suppress(OSError):
        if folder.stat().st_uid != os.getuid():
            return
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _is_free(folder: Path) -> bool:
    with suppress(OSError):
        if folder.stat().st_uid == os.getuid():
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
    return False
