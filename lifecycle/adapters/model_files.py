"""Model files in a folder or below an `s3://` prefix."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from lifecycle.domain.models import is_excluded
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.model_source import SourceFile, SourceListing
from lifecycle.ports.objects import ObjectStore

_CHUNK_BYTES = 1024 * 1024
_SOURCE_HINT = "Set `models.source` to the folder, or `s3://` prefix, that holds models/, checkpoints/ and experiments/"


class FolderSource:
    """`ports.ModelSource` on this machine. A link to a file of the folder counts as that file."""

    def __init__(self, root: Path, *, exclude: tuple[str, ...]) -> None:
        self._root = root
        self._exclude = exclude

    @property
    def name(self) -> str:
        return str(self._root)

    def scan(self) -> SourceListing:
        if not self._root.is_dir():
            raise UsageError("models-missing", f"There is no folder `{self._root}`", hint=_SOURCE_HINT)
        files: list[SourceFile] = []
        excluded: list[str] = []
        for folder, subfolders, names in os.walk(self._root, onerror=_unreadable):
            kept = []
            for name in sorted(subfolders):
                path = self._relative(folder, name)
                # A pattern for what a folder holds keeps the folder out, unread: it may hold 15 GB.
                if is_excluded(f"{path}/", self._exclude):
                    excluded.append(f"{path}/")
                elif Path(folder, name).is_symlink():
                    raise _not_a_file(path, "a link to a folder")
                else:
                    kept.append(name)
            subfolders[:] = kept
            for name in sorted(names):
                path = self._relative(folder, name)
                if is_excluded(path, self._exclude):
                    excluded.append(path)
                else:
                    files.append(SourceFile(path=path, bytes=self._size(path), uri=""))
        return SourceListing(files=tuple(files), excluded=tuple(excluded))

    def sha256(self, file: SourceFile, *, progress: Callable[[int], None]) -> str:
        hasher = hashlib.sha256()
        with self._opened(file.path) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                hasher.update(chunk)
                progress(len(chunk))
        return hasher.hexdigest()

    def beginning(self, path: str, size: int) -> bytes:
        with self._opened(path) as stream:
            return stream.read(size)

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        if not (self._root / path).is_file():
            raise _missing(path, self.name)
        yield self._root / path

    @contextmanager
    def _opened(self, path: str) -> Iterator[FileIO]:
        try:
            with (self._root / path).open("rb", buffering=0) as stream:
                yield stream
        except FileNotFoundError as error:
            raise _missing(path, self.name) from error
        except OSError as error:
            raise CapctlError(
                "model-unreadable",
                f"Model `{path}` cannot be read: {error.strerror}",
                hint="Check its permissions",
            ) from error

    def _relative(self, folder: str, name: str) -> str:
        return Path(folder, name).relative_to(self._root).as_posix()

    def _size(self, path: str) -> int:
        file = self._root / path
        if not file.is_file():
            raise _not_a_file(path, "a dangling link" if file.is_symlink() else "neither a file nor a folder")
        if file.is_symlink() and not file.resolve().is_relative_to(self._root.resolve()):
            raise _not_a_file(path, f"a link that leads out of `{self._root}`")
        return file.stat().st_size


class BucketSource:
    """`ports.ModelSource` below an `s3://bucket/prefix`."""

    def __init__(self, objects: ObjectStore, prefix_uri: str, *, exclude: tuple[str, ...]) -> None:
        self._objects = objects
        self._prefix = prefix_uri.rstrip("/") + "/"
        self._exclude = exclude

    @property
    def name(self) -> str:
        return self._prefix

    def scan(self) -> SourceListing:
        files: list[SourceFile] = []
        excluded: list[str] = []
        for stored in self._objects.list(self._prefix):
            path = stored.uri.removeprefix(self._prefix)
            if path.endswith("/") and not stored.bytes:
                continue  # what the console leaves behind for "create folder"
            if is_excluded(path, self._exclude):
                excluded.append(path)
            else:
                files.append(SourceFile(path=path, bytes=stored.bytes, uri=stored.uri))
        if not files and not excluded:
            raise UsageError("models-missing", f"Nothing lies below `{self._prefix}`", hint=_SOURCE_HINT)
        return SourceListing(files=tuple(files), excluded=tuple(excluded))

    def sha256(self, file: SourceFile, *, progress: Callable[[int], None]) -> str:
        stored = self._objects.find(file.uri)
        if stored is None:
            raise _missing(file.path, self.name)
        if stored.sha256:
            progress(stored.bytes)
            return stored.sha256
        hasher = hashlib.sha256()
        for chunk in self._chunks(file.path, file.uri):
            hasher.update(chunk)
            progress(len(chunk))
        return hasher.hexdigest()

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="capctl-model-") as folder:
            copy = Path(folder, path)
            copy.parent.mkdir(parents=True)
            with copy.open("wb") as file:
                for chunk in self._chunks(path, self._prefix + path):
                    file.write(chunk)
            yield copy

    def beginning(self, path: str, size: int) -> bytes:
        with self._named(path):
            return self._objects.beginning(self._prefix + path, size)

    def _chunks(self, path: str, uri: str) -> Iterator[bytes]:
        with self._named(path):
            yield from self._objects.chunks(uri)

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except CapctlError as error:
            if error.code != "object-missing":
                raise
            raise _missing(path, self.name) from error


def _missing(path: str, source: str) -> CapctlError:
    return CapctlError(
        "model-missing",
        f"Model `{path}` is not in `{source}`",
        hint="Put it back, or run `capctl models lock` to lock the set without it",
    )


def _not_a_file(path: str, what: str) -> UsageError:
    return UsageError(
        "model-not-a-file",
        f"`{path}` is {what}",
        hint="Put the files themselves into the source, or exclude it with `models.exclude`",
    )


def _unreadable(error: OSError) -> None:
    raise CapctlError(
        "model-unreadable", f"`{error.filename}` cannot be read: {error.strerror}", hint="Check its permissions"
    ) from error
