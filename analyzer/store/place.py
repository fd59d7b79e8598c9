"""Where a folder store keeps its files: a folder of this machine or a prefix in S3, with the same promises.

Names are relative, with `/`. A write is there whole or not at all, and outlasts the process and the power.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from analyzer.contract import Location
from analyzer.errors import AnalyzerError, DependencyDown, InputUnreadable, Mismatch

CHUNK_BYTES = 1 << 20


class Changed(Exception):
    """Somebody else wrote what was to be replaced."""


class Taken(Exception):
    """Another process holds the lock."""


class Place(Protocol):
    """Raises `DependencyDown` when it does not serve and `Mismatch` when it refuses."""

    @property
    def url(self) -> str: ...

    @property
    def locks(self) -> bool:
        """Whether `lock` excludes others, so that nobody has to guess from the age of a sign of life."""

    def check(self) -> None:
        """Fail now if nothing could be written later; leaves nothing behind."""

    def get(self, name: str) -> bytes | None:
        """The content, None where there is none."""

    def put(self, name: str, content: bytes) -> None: ...

    def swap(self, name: str, content: bytes, *, seen: bytes | None) -> None:
        """Write in place of exactly `seen`, None = nothing. Raises: Changed."""

    def writer(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A stream whose bytes become the content at the end of the block, unless it raises."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content piece by piece; raises InputUnreadable where there is none."""

    def names(self, folder: str) -> list[str]:
        """The names directly in `folder`, sorted; empty where there is none."""

    def delete(self, name: str) -> None:
        """Remove it; one that is not there is no error."""

    def lock(self, name: str, /) -> AbstractContextManager[None]:
        """Held from the call to the end of the block, or of the process; raises Taken at once."""


class LocalPlace:
    """A folder. Replacing is by rename; the folder is made when something is written."""

    locks = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        return str(self._folder)

    def check(self) -> None:
        nearest = self._folder.absolute()
        with self._explained():
            while not nearest.exists() and nearest != nearest.parent:
                nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise self._refused("not a folder that can be written" if nearest.is_dir() else f"`{nearest}` is no folder")

    def get(self, name: str) -> bytes | None:
        with self._explained():
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def put(self, name: str, content: bytes) -> None:
        with self.writer(name) as stream:
            stream.write(content)

    def swap(self, name: str, content: bytes, *, seen: bytes | None) -> None:
        # The lock excludes those who would write between these two lines.
        if self.get(name) != seen:
            raise Changed(name)
        self.put(name, content)

    @contextmanager
    def writer(self, name: str) -> Iterator[IO[bytes]]:
        path = self._folder / name
        # The same name for every attempt: what one leaves that is killed here, the next one replaces.
        beside = path.with_name(f".{path.name}.part")
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with beside.open("wb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())
                beside.replace(path)
                _flush_folder(path.parent)
            finally:
                with suppress(OSError):
                    beside.unlink()

    def chunks(self, name: str) -> Iterator[bytes]:
        path = self._folder / name
        with self._explained():
            if not path.is_file():
                raise InputUnreadable(
                    "file-missing", f"`{path}` does not exist", hint="Name the folder of a finished session"
                )
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    yield chunk

    def names(self, folder: str) -> list[str]:
        with self._explained():
            try:
                return sorted(each.name for each in (self._folder / folder).iterdir() if not each.name.startswith("."))
            except FileNotFoundError:
                return []

    def delete(self, name: str) -> None:
        path = self._folder / name
        with self._explained():
            path.unlink(missing_ok=True)
            # A folder that is empty now was made for what was in it.
            if path.parent != self._folder:
                with suppress(OSError):
                    path.parent.rmdir()

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        path = self._folder / name
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with self._explained():
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise Taken(name) from error
            yield
        finally:
            os.close(number)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> AnalyzerError:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return DependencyDown(
                "disk-full", f"`{self._folder}` cannot be written: {reason}", hint="Give the job a larger volume"
            )
        if error.errno in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE):
            return DependencyDown("folder-down", f"`{self._folder}` does not serve: {reason}")
        return self._refused(reason)

    def _refused(self, reason: str) -> Mismatch:
        return Mismatch(
            "result-not-written",
            f"`{self._folder}` cannot be written: {reason}",
            hint="Name a folder that can be written",
        )


def place_at(location: Location) -> Place:
    """The place that a location names."""
    if location.bucket is not None:
        from analyzer.s3 import ObjectStore
        from analyzer.store.s3_place import S3Place

        return S3Place(ObjectStore(), location.bucket, location.key)
    return LocalPlace(location.path or Path(location.url))


def lines(place: Place, name: str) -> Iterator[bytes]:
    """The lines of a file, without their ends, a piece at a time."""
    rest = b""
    for chunk in place.chunks(name):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _flush_folder(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
