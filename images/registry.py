"""One repository of a container registry, over the registry API v2."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import urlencode, urljoin

from images.connections import Answer
from images.digests import digest_of, is_digest, read_json
from images.errors import (
    BlobExists,
    BlobMissing,
    DigestMismatch,
    ImageMissing,
    RegistryMissing,
    RegistryRefused,
    RegistryUnreachable,
    RepositoryMissing,
    TagImmutable,
)
from images.media_types import ACCEPT
from images.reading import VerifiedReader
from images.transport import Attempts, Credentials, Forget, Transport

T = TypeVar("T")

_FOUND_OR_NOT = frozenset({200, 404})
_FOUND_IN_PART = frozenset({200, 206, 404})
_CREATED = frozenset({201})
_ACCEPTED = frozenset({202})
# Of who is asked whether it is a registry at all: a refusal of the login is told as one, and what may pass is asked again.
_SAYS_WHAT_IT_IS = frozenset({*range(200, 500)} - {403, 408, 429})
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest as stored: `raw` are the bytes that `digest` names."""

    digest: str
    media_type: str
    raw: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The decoded JSON object."""
        return cast("dict[str, Any]", json.loads(self.raw))


class RegistryClient:
    """Reads and writes one repository. Safe to share between threads.

    Failed requests are repeated (5 attempts by default) after connection errors and the answers that `images.refusals` names; once
    more with new credentials, if the registry calls them expired and `forget` was given. Uploads are monolithic; a failed upload
    starts again in a new upload session.
    """

    def __init__(
        self,
        base_url: str,
        repository: str,
        *,
        credentials: Credentials | None = None,
        forget: Forget | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self.repository = repository
        self._attempts = attempts or Attempts()
        self._transport = Transport(base_url, credentials=credentials, forget=forget, tell=self._attempts.tell)

    @property
    def requests_sent(self) -> int:
        """Requests on the wire so far, repeated attempts included."""
        return self._transport.requests_sent

    @property
    def bytes_sent(self) -> int:
        """Bytes of request bodies so far."""
        return self._transport.bytes_sent

    def head_manifest(self, reference: str) -> str | None:
        """Digest of the manifest that a tag or digest names, or None if there is none."""
        answer = self._ask("HEAD", f"manifests/{reference}", expected=_FOUND_OR_NOT, headers={"Accept": ACCEPT})
        if answer.status == 404:
            return None
        named = answer.headers.get("Docker-Content-Digest", "")
        return named if is_digest(named) else self.get_manifest(reference).digest

    def get_manifest(self, reference: str) -> Manifest:
        """Fetch a manifest by tag or digest.

        Raises: ImageMissing; RepositoryMissing; DigestMismatch, if the bytes are not those asked for; RegistryRefused, if they are no
        manifest.
        """
        answer = self._ask("GET", f"manifests/{reference}", expected=_FOUND_OR_NOT, headers={"Accept": ACCEPT})
        if answer.status == 404:
            self._raise_without_repository(answer)
            message = f"Repository `{self.repository}` has no image `{reference}`"
            raise ImageMissing(message, hint="List the tags of the repository, or push the image first")
        raw = answer.content
        digest = digest_of(raw)
        if is_digest(reference) and reference != digest:
            raise _mismatch(reference, digest)
        if not _is_manifest(raw):
            message = f"The registry answers {len(raw)} bytes that are no manifest for `{reference}`"
            raise RegistryRefused(message, hint="Check that the address is a container registry's")
        media_type = _media_type(raw) or answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(digest=digest, media_type=media_type, raw=raw)

    def require_registry(self) -> None:
        """Ask whether a registry answers at all. Raises: RegistryMissing."""
        answer = self._attempts.run(lambda: self._transport.send("GET", "/v2/", expected=_SAYS_WHAT_IT_IS))
        from images.refusals import is_registrys  # which only a failure needs

        if not is_registrys(answer):
            message = f"What answers at `{self._transport.base_url}` is no container registry: `{answer.status}` to GET `/v2/`"
            raise RegistryMissing(message, hint="Correct the address of the registry")

    def require_repository_of(self, reference: str) -> None:
        """Ask why there is no such manifest, which the answer to a HEAD cannot tell.

        Raises: RegistryMissing; RepositoryMissing, where the registry says so: many make a repository when something is pushed.
        """
        self.require_registry()
        with suppress(ImageMissing):
            self.get_manifest(reference)

    def head_blob(self, digest: str) -> bool:
        """Whether the repository holds the blob."""
        return self._ask("HEAD", f"blobs/{digest}", expected=_FOUND_OR_NOT).status == 200

    def get_blob(self, digest: str) -> bytes:
        """Fetch a blob into memory. Raises: ImageMissing; DigestMismatch, if the bytes are damaged."""
        answer = self._ask("GET", f"blobs/{digest}", expected=_FOUND_OR_NOT)
        if answer.status == 404:
            raise self._blob_missing(digest)
        if digest_of(answer.content) != digest:
            raise _mismatch(digest, digest_of(answer.content))
        return answer.content

    @contextmanager
    def open_blob(self, digest: str, size_bytes: int) -> Iterator[BinaryIO]:
        """Stream a blob, as `blob_pieces` gives it; its digest is verified when the `with` block ends. Raises: DigestMismatch too."""
        with closing(self.blob_pieces(digest, size_bytes=size_bytes)) as pieces:
            reader = VerifiedReader(pieces)
            yield cast("BinaryIO", reader)
            received = reader.finish()
        if received != digest:
            raise _mismatch(digest, received)

    def blob_pieces(self, digest: str, *, size_bytes: int, start: int = 0) -> Generator[bytes]:
        """The bytes of a blob from `start` on, in pieces; a download that breaks off goes on where it was.

        Nothing is compared with the digest. Raises: BlobMissing; RegistryUnreachable, if it breaks off at every attempt.
        """
        failed = 0
        while start < size_bytes:
            headers = {"Range": f"bytes={start}-"} if start else {}
            answer = self._ask("GET", f"blobs/{digest}", expected=_FOUND_IN_PART, headers=headers, stream=True)
            with closing(answer):
                if answer.status == 404:
                    message = f"Repository `{self.repository}` has no blob `{digest}`"
                    raise BlobMissing(message, hint="Build and push the image that needs it again", digests=(digest,))
                # Who does not know ranges answers 200 and begins again.
                position = start if answer.status == 206 else 0
                broken: Exception | None = None
                while start < size_bytes and (piece := _piece_of(answer)):
                    if isinstance(piece, Exception):
                        broken = piece
                        break
                    fresh = piece[max(0, start - position) : size_bytes - position]
                    position += len(piece)
                    start += len(fresh)
                    if fresh:
                        yield fresh
            if broken:
                failed += 1
                if failed == self._attempts.count:
                    raise _broken_off(broken) from broken
                self._attempts.tell(
                    f"{_broken_off(broken).message}; attempt {failed + 1} of {self._attempts.count} follows"
                )
                self._attempts.pause(failed)
            elif start < size_bytes:
                message = f"The registry holds {start} of the {size_bytes} bytes of `{digest}`"
                raise DigestMismatch(message, hint="Push the image that needs it again")

    def upload_blob(self, content: bytes) -> str:
        """Upload in one piece: POST for a session, and PUT with the whole body. Returns: the digest."""
        digest = digest_of(content)

        def attempt() -> None:
            session = self._send("POST", "blobs/uploads/", expected=_ACCEPTED)
            self._finish_upload(session, digest, content)

        self._attempts.run(attempt)
        return digest

    def put_manifest(self, reference: str, raw: bytes, media_type: str) -> str:
        """Store a manifest under a tag or digest. Returns: its digest.

        Raises: TagImmutable, if the tag exists with another digest and may not move; BlobMissing, if it names a blob
        that is not there; DigestMismatch.
        """
        digest = digest_of(raw)
        headers = {"Content-Type": media_type}
        try:
            answer = self._ask("PUT", f"manifests/{reference}", expected=_CREATED, headers=headers, body=raw)
        except TagImmutable as refused:
            # An earlier attempt whose answer was lost, or another machine, may have stored these very bytes.
            existing = self.head_manifest(reference)
            if existing == digest:
                return digest
            if existing is None:
                raise
            message = f"Tag `{reference}` of `{self.repository}` is `{existing}` and cannot be moved to `{digest}`"
            raise TagImmutable(message, hint=refused.hint) from refused
        stored = answer.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise _mismatch(digest, stored)
        return digest

    def _blob_missing(self, digest: str) -> ImageMissing:
        message = f"Repository `{self.repository}` has no blob `{digest}`"
        return ImageMissing(message, hint="Push the image that needs it again")

    def _raise_without_repository(self, not_found: Answer) -> None:
        from images.refusals import names_no_repository  # which only a failure needs

        if names_no_repository(not_found):
            message = f"The registry has no repository `{self.repository}`"
            raise RepositoryMissing(message, hint="Create the repository first")

    def _finish_upload(self, session: Answer, digest: str, content: bytes) -> None:
        named = session.headers.get("Location", "")
        try:
            location = urljoin(session.url, named)
        except ValueError:
            named = ""
        if not named:
            message = f"The registry began an upload to `{self.repository}` without saying where its bytes go"
            raise RegistryRefused(message, hint="Check that the address is a container registry's")
        url = location + ("&" if "?" in location else "?") + urlencode({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        with suppress(BlobExists):
            self._transport.send("PUT", url, expected=_CREATED, headers=headers, body=content)

    def _send(self, method: str, path: str, **options: Any) -> Answer:
        return self._transport.send(method, f"/v2/{self.repository}/{path}", **options)

    def _ask(self, method: str, path: str, **options: Any) -> Answer:
        return self._attempts.run(lambda: self._send(method, path, **options))


def _piece_of(answer: Answer) -> bytes | Exception:
    try:
        return answer.read(_PIECE_BYTES)
    except (HTTPException, OSError) as err:
        return err


def _broken_off(err: Exception) -> RegistryUnreachable:
    message = f"The registry broke off a download: {type(err).__name__}"
    return RegistryUnreachable(message, hint="Check the network, then run the command again")


def _mismatch(expected: str, received: str) -> DigestMismatch:
    message = f"The registry returned `{received}` for `{expected}`"
    return DigestMismatch(message, hint="Run the command again; if it stays, the registry or a proxy damages content")


def _is_manifest(raw: bytes) -> bool:
    document = read_json(raw)
    return isinstance(document, dict) and bool({"schemaVersion", "mediaType"} & document.keys())


def _media_type(raw: bytes) -> str | None:
    document = read_json(raw)
    return document.get("mediaType") if isinstance(document, dict) else None
