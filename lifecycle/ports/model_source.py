"""Where the files of the model set come from."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as the source lists it; `uri` is "" for a file of a folder, whose place on this machine means nothing elsewhere."""

    path: str
    bytes: int
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceListing:
    """`files` that may enter the set, and the paths that are kept out of every set; a folder kept out whole ends with `/`."""

    files: tuple[SourceFile, ...]
    excluded: tuple[str, ...]


class ModelSource(Protocol):
    """A folder or an `s3://` prefix.

    Errors: `UsageError("models-missing" | "model-not-a-file")`, `CapctlError("model-missing" | "model-unreadable" | "bucket-missing")`,
    `Denied`.
    """

    @property
    def name(self) -> str:
        """The source as the configuration names it."""

    def scan(self) -> SourceListing:
        """What is there."""

    def sha256(self, file: SourceFile, *, progress: Callable[[int], None]) -> str:
        """Hex digest of a file; `progress` gets byte counts, from any thread."""

    def beginning(self, path: str, size: int) -> bytes:
        """The first `size` bytes, 1 at least, of a file of the source, or all where it is shorter; safe to call from several threads."""

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """A file of the source on this machine, for as long as the context lasts."""
