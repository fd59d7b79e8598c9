"""A prefix in S3 as a place: whole objects, and conditional writes where somebody else may have been quicker."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO

from analyzer.errors import InputUnreadable, Mismatch
from analyzer.s3 import ObjectStore, Precondition
from analyzer.store.place import Changed


class S3Place:
    """`place.Place` in a bucket. Nothing in S3 dies with a process, so `lock` excludes nobody."""

    locks = False

    def __init__(self, store: ObjectStore, bucket: str, prefix: str) -> None:
        self._store, self._bucket = store, bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        # By name: the digest of what this process read or wrote last, and its tag, which a conditional write compares.
        self._tags: dict[str, tuple[bytes, str]] = {}

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def check(self) -> None:
        # A listing leaves nothing behind; the right to write shows at the claim, which is before the video is read.
        for _ in self._store.keys(self._bucket, self._prefix):
            break

    def get(self, name: str) -> bytes | None:
        key = self._prefix + name
        try:
            found = self._store.get(self._bucket, key)
        except Mismatch:
            if self._is_there(key):
                raise
            found = None
        if found is None:
            return None
        content, tag = found
        self._tags[name] = (_digest(content), tag)
        return content

    def put(self, name: str, content: bytes) -> None:
        self._store.put(self._bucket, self._prefix + name, content)

    def swap(self, name: str, content: bytes, *, seen: bytes | None) -> None:
        if seen is None:
            condition = Precondition(absent=True)
        else:
            digest, known = self._tags.get(name, (b"", ""))
            if digest != _digest(seen):
                raise Changed(name)
            condition = Precondition(tag=known)
        tag = self._store.put_if(self._bucket, self._prefix + name, content, condition)
        if tag is None:
            # The answer to a write that arrived may have been lost, and the write repeated: then it was this one.
            if self.get(name) != content:
                raise Changed(name)
            return
        self._tags[name] = (_digest(content), tag)

    @contextmanager
    def writer(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as spool:
            yield spool
            spool.seek(0)
            self._store.put(self._bucket, self._prefix + name, spool)

    def chunks(self, name: str) -> Iterator[bytes]:
        key = self._prefix + name
        try:
            yield from self._store.chunks(self._bucket, key)
        except Mismatch:
            if self._is_there(key):
                raise
            raise InputUnreadable(
                "file-missing", f"`{self.url}{name}` does not exist", hint="Name the prefix of a finished session"
            ) from None

    def names(self, folder: str) -> list[str]:
        prefix = f"{self._prefix}{folder}/"
        return sorted(key.removeprefix(prefix) for key in self._store.keys(self._bucket, prefix))

    def delete(self, name: str) -> None:
        self._store.delete(self._bucket, self._prefix + name)

    def _is_there(self, key: str) -> bool:
        """Whether what S3 refused is there: to a login that may list only below a prefix, it refuses what is absent too."""
        return key in self._store.keys(self._bucket, key)

    def lock(self, _name: str) -> AbstractContextManager[None]:
        return nullcontext()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
