"""A stream over the pieces of a blob."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

_PIECE_BYTES = 1 << 20


class VerifiedReader:
    """A readable stream over pieces that hashes what passes through."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._hash = hashlib.sha256()
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that are left if it is negative; none at the end only."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE_BYTES), b""))
        if not self._left:
            self._left = next(self._pieces, b"")
            self._hash.update(self._left)
        given, self._left = self._left[:size], self._left[size:]
        return given

    def finish(self) -> str:
        """Read what is left. Returns: the digest of all that passed."""
        while self.read(_PIECE_BYTES):
            pass
        return "sha256:" + self._hash.hexdigest()
