"""Where a video is, and where a result goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analyzer.errors import RequestInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place that holds a video or receives a result: an S3 object or prefix, or a local path.

    `version` is the S3 object's version that is meant, None for whichever is there; no URL spells it.
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
        return os.path.realpath(self.path or self.url)

    @classmethod
    def parse(cls, text: str, *, name: str) -> Location:
        """Read `s3://bucket/key`, `file:///path` or a plain path; `name` is the variable or option it came from.

        Raises: RequestInvalid, for another scheme, a missing bucket, a remote file host or a NUL byte.
        """
        hint = f"Set {name} to `s3://bucket/key`, `file:///path` or a plain path"
        if not text or "\0" in text:
            raise RequestInvalid("location-invalid", f"{name} is empty or holds a NUL byte", hint=hint)
        scheme, separator, rest = text.partition("://")
        if not separator:
            return cls(url=text, path=Path(text))
        if scheme == "s3":
            bucket, _, key = rest.partition("/")
            if not bucket:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names no bucket", hint=hint)
            return cls(url=text, bucket=bucket, key=key)
        if scheme == "file":
            try:
                parts = urlsplit(text)
            except ValueError as error:
                raise RequestInvalid("location-invalid", f"{name} `{text}` is not a URL: {error}", hint=hint) from error
            if parts.netloc not in ("", "localhost") or not parts.path:
                raise RequestInvalid("location-invalid", f"{name} `{text}` names another host or no path", hint=hint)
            return cls(url=text, path=Path(unquote(parts.path)))
        raise RequestInvalid(
            "location-invalid", f"{name} has the scheme `{scheme}`, expected `s3` or `file`", hint=hint
        )
