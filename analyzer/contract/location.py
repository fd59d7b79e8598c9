"""Where a video is, and where a result goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analyzer.errors import RequestInvalid

# What Linux takes: a path with its final NUL, and one name in it.
PATH_BYTES_MAX = 4095
NAME_BYTES_MAX = 255


def printable(text: str) -> str:
    """`text` as any document can hold it: bytes of a file's name that are no UTF-8 are escaped, as `\\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode()


def local_path(text: str, *, name: str) -> Path:
    """Read a path of this machine, which need not exist; `name` is the variable or option it came from.

    Raises: RequestInvalid, for what no file can be called: nothing, a NUL byte, half a character, or too many bytes.
    """
    hint = f"Set {name} to the path of a file or a folder"
    if not text or "\0" in text:
        raise RequestInvalid("path-invalid", f"{name} is empty or holds a NUL byte", hint=hint)
    try:
        # Undecodable bytes of a name are half surrogates here, and bytes again for the system.
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise RequestInvalid("path-invalid", f"{name} holds what is no character", hint=hint) from error
    if len(content) > PATH_BYTES_MAX or max(map(len, content.split(b"/"))) > NAME_BYTES_MAX:
        what = f"{name} `{printable(text)[:40]}...` is longer than a path can be"
        raise RequestInvalid("path-invalid", what, hint=hint)
    return Path(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that holds a video or receives a result: an S3 object or prefix, or a local path.

    `url` is as `printable` gives it. `version` is the S3 object's version that is meant, None for whichever is there; no URL spells it.
    """

    url: str
    bucket: str | None = None
    key: str = ""
    version: str | None = None
    path: Path | None = None

    @property
    def place(self) -> str:
        """The same text however a folder or prefix is written: without links, `..` and a slash at its end."""
        if self.bucket is not None:
            return "/".join(("s3:/", self.bucket, self.key.strip("/"))).rstrip("/")
        return printable(os.path.realpath(self.path or self.url))

    @classmethod
    def parse(cls, text: str, *, name: str) -> Location:
        """Read `s3://bucket/key`, `file:///path` or a plain path; `name` is the variable or option it came from.

        Raises: RequestInvalid, for another scheme, a missing bucket, a remote file host, or what no file or object can be called.
        """
        hint = f"Set {name} to `s3://bucket/key`, `file:///path` or a plain path"
        if not text or "\0" in text:
            raise RequestInvalid("location-invalid", f"{name} is empty or holds a NUL byte", hint=hint)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(url=printable(text), path=local_path(text, name=name))
        if scheme == "s3":
            bucket, _, key = rest.partition("/")
            if not bucket:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names no bucket", hint=hint)
            if any("\ud800" <= each <= "\udfff" for each in text):
                raise RequestInvalid("location-invalid", f"{name} is no UTF-8, as keys in S3 are", hint=hint)
            return cls(url=text, bucket=bucket, key=key)
        if scheme == "file":
            try:
                parts = urlsplit(text)
            except ValueError as error:
                raise RequestInvalid("location-invalid", f"{name} `{text}` is not a URL: {error}", hint=hint) from error
            if parts.netloc not in ("", "localhost") or not parts.path:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names another host or no path", hint=hint)
            return cls(url=text, path=local_path(unquote(parts.path), name=name))
        raise RequestInvalid(
            "location-invalid", f"{name} has the scheme `{scheme}`, expected `s3` or `file`", hint=hint
        )
