"""Objects in object storage, with their digests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lifecycle.errors import CapctlError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object and what is known of it without reading it; `sha256` is "" where it was not recorded at upload."""

    uri: str
    bytes: int
    sha256: str


class SourceChanged(CapctlError):
    """A file that was to be uploaded has another digest than it should have; code `digest-mismatch`."""


class ObjectStore(Protocol):
    """`s3://bucket/key` objects. Errors: `Denied`, `CapctlError("object-missing")`, `CapctlError("bucket-missing")`."""

    def find(self, uri: str) -> StoredObject | None:
        """The object with its recorded digest, or None."""

    def list(self, prefix_uri: str) -> tuple[StoredObject, ...]:
        """All objects below a prefix, in the order of their keys, without digests: AWS lists none."""

    def put(self, source: Path, uri: str, *, sha256: str, progress: Callable[[int], None]) -> None:
        """Upload with the digest recorded; `progress` gets byte counts, from any thread.

        Raises `SourceChanged`, with nothing stored, when `source` does not have that digest.
        """

    def write(self, uri: str, data: bytes) -> None:
        """Store a small document."""

    def chunks(self, uri: str) -> Iterable[bytes]:
        """The object's bytes, in chunks."""

    def beginning(self, uri: str, size: int) -> bytes:
        """The object's first `size` bytes, 1 at least, or all where it is shorter."""

    def presign(self, uri: str, *, expires_s: int) -> str:
        """A URL that reads the object without credentials."""

    def presign_write(self, uri: str, *, expires_s: int) -> str:
        """A URL to which the object can be PUT without credentials."""

    def remove(self, uri: str) -> None:
        """Remove an object; one that does not exist is no failure."""
