"""A folder that one run of Packer, Pulumi or a build works in: private, short-named, and removed even when its owner was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def private_folder(prefix: str, *, within: Path | None = None) -> Iterator[Path]:
    """A new folder that only this user can enter. Those of killed runs with the same `prefix` are removed first.

    It lies in `within`, else in the system's temporary folder: Packer makes sockets in it, whose paths must be short.
    """
    for folder in abandoned(prefix, within=within):
        remove_abandoned(folder)
    folder, descriptor = _made(prefix, within)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def abandoned(prefix: str, *, within: Path | None = None) -> tuple[Path, ...]:
    """This user's folders of that name that lost their owner."""
    found = []
    for folder in sorted((within or Path(tempfile.gettempdir())).glob(f"{prefix}*")):
        with suppress(OSError), _locked(folder, fcntl.LOCK_SH):
            found.append(folder)
    return tuple(found)


def remove_abandoned(folder: Path) -> None:
    """Remove such a folder; one that has an owner stays."""
    with suppress(OSError), _locked(folder, fcntl.LOCK_EX):
        shutil.rmtree(folder, ignore_errors=True)


def _made(prefix: str, within: Path | None) -> tuple[Path, int]:
    """A folder and its lock, which the kernel lets go with the process, however that ends. No file in it is the lock, since a removal
    that is killed may have removed that file and not yet the others."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        with suppress(FileNotFoundError):  # another run took it for abandoned, before it was locked
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Raises OSError when somebody else has the lock, or the folder is another user's."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(folder)
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
