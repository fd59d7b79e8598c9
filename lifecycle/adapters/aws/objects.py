"""Objects in S3, with their digests."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.objects import SourceChanged, StoredObject

_CHUNK_BYTES = 1024 * 1024
# Parts in memory at once: 4 per upload, each of 8 MiB unless the file needs larger ones to stay below S3's 10,000 parts.
_PART_BYTES = 8 * 1024 * 1024
_MAX_PARTS = 9_000
_PARTS_IN_FLIGHT = 4
_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class S3Objects:
    """`ports.ObjectStore` in S3. An object's digest is S3's own checksum, or for objects sent in parts the metadata `sha256`."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @cached_property
    def _s3(self) -> Any:
        return self._session.client("s3")

    @cached_property
    def _senders(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=8, thread_name_prefix="s3-part")

    def find(self, uri: str) -> StoredObject | None:
        bucket, key = _parsed(uri)
        with translated(f"looking for `{uri}`"):
            try:
                answer = self._s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return StoredObject(uri=uri, bytes=answer["ContentLength"], sha256=_recorded_sha256(answer))

    def list(self, prefix_uri: str) -> tuple[StoredObject, ...]:
        bucket, prefix = _parsed(prefix_uri)
        found = []
        with _translated_in(bucket, f"listing `{prefix_uri}`"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    found.append(StoredObject(uri=f"s3://{bucket}/{item['Key']}", bytes=item["Size"], sha256=""))
        return tuple(found)

    def put(self, source: Path, uri: str, *, sha256: str, progress: Callable[[int], None]) -> None:
        try:
            with source.open("rb") as file:
                size = source.stat().st_size
                if size <= _PART_BYTES:
                    self._put_at_once(file.read(), source, uri, sha256)
                    progress(size)
                else:
                    self._put_in_parts(file, max(_PART_BYTES, -(-size // _MAX_PARTS)), source, uri, sha256, progress)
        except FileNotFoundError as error:
            raise CapctlError("file-unusable", f"File `{source}` is gone", hint="Put it back") from error

    def write(self, uri: str, data: bytes) -> None:
        bucket, key = _parsed(uri)
        with _translated_in(bucket, f"writing `{uri}`"):
            self._s3.put_object(Bucket=bucket, Key=key, Body=data, ChecksumSHA256=_checksum(data))

    def chunks(self, uri: str) -> Iterable[bytes]:
        with self._reading(uri):
            yield from self._body(uri).iter_chunks(_CHUNK_BYTES)

    def beginning(self, uri: str, size: int) -> bytes:
        with self._reading(uri):
            try:
                content: bytes = self._body(uri, Range=f"bytes=0-{size - 1}").read()
            except ClientError as error:
                if error_code(error) == "InvalidRange":  # it is empty
                    return b""
                raise
            return content

    def presign(self, uri: str, *, expires_s: int) -> str:
        return self._presigned("get_object", uri, expires_s)

    def presign_write(self, uri: str, *, expires_s: int) -> str:
        return self._presigned("put_object", uri, expires_s)

    def remove(self, uri: str) -> None:
        bucket, key = _parsed(uri)
        with _translated_in(bucket, f"removing `{uri}`"):
            self._s3.delete_object(Bucket=bucket, Key=key)

    def _body(self, uri: str, **more: str) -> Any:
        bucket, key = _parsed(uri)
        return self._s3.get_object(Bucket=bucket, Key=key, **more)["Body"]

    @contextmanager
    def _reading(self, uri: str) -> Iterator[None]:
        with _translated_in(_parsed(uri)[0], f"reading `{uri}`"):
            try:
                yield
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    raise CapctlError(
                        "object-missing", f"There is no object `{uri}`", hint="Upload it again, or correct the address"
                    ) from error
                raise

    def _presigned(self, operation: str, uri: str, expires_s: int) -> str:
        bucket, key = _parsed(uri)
        with translated(f"signing a URL for `{uri}`"):
            return str(
                self._s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires_s)
            )

    def _put_at_once(self, data: bytes, source: Path, uri: str, sha256: str) -> None:
        _require_digest(hashlib.sha256(data), sha256, source)
        bucket, key = _parsed(uri)
        with _translated_in(bucket, f"uploading `{source}` to `{uri}`"):
            self._s3.put_object(
                Bucket=bucket, Key=key, Body=data, ChecksumSHA256=_checksum(data), Metadata={"sha256": sha256}
            )

    def _put_in_parts(
        self, file: BinaryIO, part_bytes: int, source: Path, uri: str, sha256: str, progress: Callable[[int], None]
    ) -> None:
        """Send while reading once; the digest is known after the last part, and the object exists only if it is right."""
        bucket, key = _parsed(uri)
        with _translated_in(bucket, f"uploading `{source}` to `{uri}`"):
            upload = self._s3.create_multipart_upload(
                Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256", Metadata={"sha256": sha256}
            )
            part_of = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
            try:
                parts = self._send_parts(file, part_bytes, part_of, source, sha256, progress)
                self._s3.complete_multipart_upload(**part_of, MultipartUpload={"Parts": parts})
            except BaseException:
                # Parts that nobody completes are invisible, and paid for.
                self._s3.abort_multipart_upload(**part_of)
                raise

    def _send_parts(
        self,
        file: BinaryIO,
        part_bytes: int,
        part_of: dict[str, str],
        source: Path,
        sha256: str,
        progress: Callable[[int], None],
    ) -> Sequence[dict[str, Any]]:
        hasher = hashlib.sha256()
        sent: list[dict[str, Any]] = []
        in_flight: deque[Future[dict[str, Any]]] = deque()
        try:
            while data := file.read(part_bytes):
                hasher.update(data)
                if len(in_flight) == _PARTS_IN_FLIGHT:
                    sent.append(in_flight.popleft().result())
                number = len(sent) + len(in_flight) + 1
                in_flight.append(self._senders.submit(self._send_part, data, number, part_of, progress))
            while in_flight:
                sent.append(in_flight.popleft().result())
        finally:
            for future in in_flight:
                future.cancel()
            for future in in_flight:
                if not future.cancelled():
                    future.exception()  # waits: an abort in the middle of a part would leave that part behind
        _require_digest(hasher, sha256, source)
        return sent

    def _send_part(
        self, data: bytes, number: int, part_of: dict[str, str], progress: Callable[[int], None]
    ) -> dict[str, Any]:
        checksum = _checksum(data)
        answer = self._s3.upload_part(**part_of, PartNumber=number, Body=data, ChecksumSHA256=checksum)
        progress(len(data))
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}


@contextmanager
def _translated_in(bucket: str, doing: str) -> Iterator[None]:
    with translated(doing):
        try:
            yield
        except ClientError as error:
            if error_code(error) == "NoSuchBucket":
                raise CapctlError(
                    "bucket-missing",
                    f"There is no bucket `{bucket}`, needed for {doing}",
                    hint="Run `capctl bootstrap` to create the target's bucket",
                ) from error
            raise


def _parsed(uri: str) -> tuple[str, str]:
    match = _URI.fullmatch(uri)
    if not match:
        raise UsageError("uri-invalid", f"`{uri}` is not an S3 address", hint="Write `s3://bucket/key`")
    return match["bucket"], match["key"]


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _recorded_sha256(answer: dict[str, Any]) -> str:
    checksum, in_parts = answer.get("ChecksumSHA256", ""), "-" in answer.get("ETag", "")
    if checksum and not in_parts:  # of an object sent in parts it is the checksum of the parts' checksums
        return base64.b64decode(checksum).hex()
    told = str(answer.get("Metadata", {}).get("sha256", ""))
    return told if _SHA256.fullmatch(told) else ""


def _require_digest(hasher: Any, sha256: str, source: Path) -> None:
    if hasher.hexdigest() != sha256:
        raise SourceChanged(
            "digest-mismatch",
            f"File `{source}` has sha256 {hasher.hexdigest()} instead of {sha256}; it was not uploaded",
            hint="Restore the file",
        )
