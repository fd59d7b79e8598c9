"""`ports.ObjectStore` in memory."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from lifecycle.errors import CapctlError
from lifecycle.ports.objects import SourceChanged, StoredObject


class FakeObjects:
    """`stored` maps URI to (bytes, recorded sha256); `buckets` are those that exist; `heads` and `puts` count calls."""

    def __init__(self, *buckets: str) -> None:
        self.buckets = set(buckets)
        self.stored: dict[str, tuple[bytes, str]] = {}
        self.heads = 0
        self.puts = 0
        self._lock = Lock()

    def find(self, uri: str) -> StoredObject | None:
        with self._lock:
            self.heads += 1
        if uri not in self.stored:
            return None
        data, sha256 = self.stored[uri]
        return StoredObject(uri=uri, bytes=len(data), sha256=sha256)

    def list(self, prefix_uri: str) -> tuple[StoredObject, ...]:
        self._require_bucket(prefix_uri)
        found = sorted(uri for uri in self.stored if uri.startswith(prefix_uri))
        return tuple(StoredObject(uri=uri, bytes=len(self.stored[uri][0]), sha256="") for uri in found)

    def put(self, source: Path, uri: str, *, sha256: str, progress: Callable[[int], None]) -> None:
        try:
            data = source.read_bytes()
        except FileNotFoundError as error:
            raise CapctlError("file-unusable", f"File `{source}` is gone") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise SourceChanged("digest-mismatch", f"File `{source}` has another digest than {sha256}")
        self._require_bucket(uri)
        progress(len(data))
        with self._lock:
            self.puts += 1
            self.stored[uri] = (data, sha256)

    def write(self, uri: str, data: bytes) -> None:
        self._require_bucket(uri)
        self.stored[uri] = (data, hashlib.sha256(data).hexdigest())

    def chunks(self, uri: str) -> Iterable[bytes]:
        self._require_bucket(uri)
        if uri not in self.stored:
            raise CapctlError("object-missing", f"There is no object `{uri}`")
        yield self.stored[uri][0]

    def beginning(self, uri: str, size: int) -> bytes:
        return b"".join(self.chunks(uri))[:size]

    def presign(self, uri: str, *, expires_s: int) -> str:
        return f"https://s3.example/{uri.removeprefix('s3://')}?X-Amz-Expires={expires_s}&X-Amz-Signature=5ec2e7"

    def presign_write(self, uri: str, *, expires_s: int) -> str:
        return self.presign(uri, expires_s=expires_s)

    def remove(self, uri: str) -> None:
        self._require_bucket(uri)
        self.stored.pop(uri, None)

    def _require_bucket(self, uri: str) -> None:
        bucket = uri.removeprefix("s3://").split("/")[0]
        if bucket not in self.buckets:
            raise CapctlError("bucket-missing", f"There is no bucket `{bucket}`")
