"""A disk that is full, told with its place."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from images.errors import DiskFull

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def room_watched(message: str, *, hint: str) -> Iterator[None]:
    """Raise DiskFull with that message where the block finds no room."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull(message, hint=hint) from error
        raise
