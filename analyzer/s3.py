"""The object store: download the video, upload the result, or keep what a store keeps there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from analyzer.errors import DependencyDown, InputUnreadable
from analyzer.s3_errors import code_of, explained, written

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 60
ATTEMPTS = 3
# Room for thumbnails, rows and the result next to the video.
FREE_SPACE_MARGIN_BYTES = 256 << 20
CONTENT_TYPES = {".json": "application/json", ".jpg": "image/jpeg", ".jsonl": "application/jsonl"}
_CHUNK_BYTES = 1 << 20
# What a conditional write answers when somebody else was quicker, or deleted what it should replace.
_OVERTAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as it is now: `tag` changes with its content; `version` is the one that was asked for, None for the latest."""

    tag: str
    size_bytes: int
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """Write only where nothing is, or only over the content that has `tag`."""

    absent: bool = False
    tag: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if self.absent else {"IfMatch": self.tag}


class ObjectStore:
    """S3 through boto3, whose own variables (`AWS_ENDPOINT_URL`, region, credentials) are honoured."""

    def __init__(self) -> None:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
        )
        with explained("s3://"):
            self._client: Any = boto3.client("s3", config=config)

    def look_up(self, bucket: str, key: str, version: str | None = None) -> Found:
        """What lies under a key, or did in that version. Raises: InputUnreadable, when nothing does; DependencyDown or Mismatch."""
        url = _url(bucket, key, version)
        if not key:
            raise InputUnreadable(
                "object-missing", f"`{url}` names no object", hint="Put the object's key in VIDEO_URL"
            )
        with explained(url):
            answer = self._client.head_object(Bucket=bucket, Key=key, **_versioned(version))
            return Found(tag=str(answer["ETag"]), size_bytes=int(answer["ContentLength"]), version=version)

    def download(self, bucket: str, key: str, found: Found, to: Path, on_bytes: Callable[[int, int], None]) -> None:
        """Stream one object into `to`; `on_bytes` receives (read, total) bytes. A stream that breaks goes on where it broke.

        Raises: InputUnreadable, when the object is gone; DependencyDown, on connection trouble, a full disk, or when the object is
        another one by now; Mismatch, when the store refuses the credentials.
        """
        from botocore.exceptions import BotoCoreError

        url, done, breaks = _url(bucket, key, found.version), 0, 0
        with explained(url), to.open("wb") as stream:
            _require_space(url, to.parent, found.size_bytes)
            while done < found.size_bytes:
                try:
                    for chunk in self._chunks_from(bucket, key, found, done):
                        stream.write(chunk)
                        done += len(chunk)
                        breaks = 0
                        on_bytes(done, found.size_bytes)
                except BotoCoreError:
                    breaks += 1
                    if breaks == ATTEMPTS:
                        raise

    def _chunks_from(self, bucket: str, key: str, found: Found, first: int) -> Iterator[bytes]:
        # One plain stream: boto3's transfer manager would move bytes in threads that a stop signal does not reach.
        answer = self._client.get_object(
            Bucket=bucket, Key=key, IfMatch=found.tag, Range=f"bytes={first}-", **_versioned(found.version)
        )
        yield from answer["Body"].iter_chunks(_CHUNK_BYTES)

    def put(self, bucket: str, key: str, content: bytes | IO[bytes]) -> None:
        """Put one object, whole or not at all. Raises: DependencyDown or Mismatch."""
        with written(f"s3://{bucket}/{key}"):
            self._client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=_content_type(key))

    def put_if(self, bucket: str, key: str, content: bytes, condition: Precondition) -> str | None:
        """Put one object under a condition; returns its tag, None where the condition does not hold.

        Raises: DependencyDown or Mismatch.
        """
        from botocore.exceptions import ClientError

        with written(f"s3://{bucket}/{key}"):
            try:
                answer = self._client.put_object(Bucket=bucket, Key=key, Body=content, **condition.headers)
            except ClientError as error:
                if code_of(error) in _OVERTAKEN:
                    return None
                raise
        return str(answer["ETag"])

    def get(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        """The content of an object and its tag, None where there is no such object. Raises: DependencyDown or Mismatch."""
        from botocore.exceptions import ClientError

        with written(f"s3://{bucket}/{key}"):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key)
                return answer["Body"].read(), str(answer["ETag"])
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def chunks(self, bucket: str, key: str) -> Iterator[bytes]:
        """The content of an object piece by piece. Raises: DependencyDown, InputUnreadable or Mismatch."""
        with explained(f"s3://{bucket}/{key}"):
            yield from self._client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK_BYTES)

    def keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys that begin with `prefix`, page by page. Raises: DependencyDown or Mismatch."""
        with written(f"s3://{bucket}/{prefix}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield from (str(each["Key"]) for each in page.get("Contents", ()))

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object, which need not be there. Raises: DependencyDown or Mismatch."""
        with written(f"s3://{bucket}/{key}"):
            self._client.delete_object(Bucket=bucket, Key=key)


def _versioned(version: str | None) -> dict[str, str]:
    return {} if version is None else {"VersionId": version}


def _url(bucket: str, key: str, version: str | None) -> str:
    """What messages call an object."""
    return f"s3://{bucket}/{key}" + (f"?versionId={version}" if version else "")


def _require_space(url: str, folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes + FREE_SPACE_MARGIN_BYTES > free:
        raise DependencyDown(
            "disk-full",
            f"`{url}` has {size_bytes} bytes, and {FREE_SPACE_MARGIN_BYTES} bytes of `{folder}` are kept free for the "
            f"results, but only {free} bytes of it are free",
            hint="Give the job's scratch space a larger volume",
        )


def _content_type(key: str) -> str:
    return CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
