"""Content digests (`sha256:<64 hex>`), image references, and a cache of immutable bytes keyed by digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any, Self

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(content: bytes) -> str:
    """`sha256:<hex>` of `content`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Whether `text` is a full sha256 digest rather than a tag."""
    return _DIGEST.fullmatch(text) is not None


def canonical_json(document: object) -> bytes:
    """The one byte string for `document`: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_json(raw: bytes) -> Any:
    """The value of a JSON text that anybody may have written; None for one that is none, that nests too deeply, or that holds what is no
    text in UTF-8."""
    try:
        value = json.loads(raw)
        # Half a surrogate pair, which only an escape can bring.
        if b"\\u" in raw:
            canonical_json(value)
    except (ValueError, RecursionError):
        return None
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """An image by content: `repository` as the registry names it (without host), and its manifest digest."""

    repository: str
    digest: str

    def __post_init__(self) -> None:
        if not is_digest(self.digest):
            message = f"`{self.digest}` is not a sha256 digest"
            raise ValueError(message)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `repository@sha256:…`. Raises: ValueError, if it is not pinned by digest."""
        repository, _, digest = text.partition("@")
        return cls(repository=repository, digest=digest)

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"


def write_atomically(path: Path, content: bytes) -> None:
    """Write `path`, which only its owner may read, so that readers see all of it or nothing, also when several writers race."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_if_possible(path: Path, content: bytes) -> None:
    """`write_atomically` for what can be had again: a disk that is full or cannot be written is no reason to fail."""
    with suppress(OSError):
        write_atomically(path, content)


@dataclass(frozen=True, slots=True)
class DigestCache:
    """Manifests and configs on disk by digest. They never change, so they are fetched once; each read is verified."""

    folder: Path

    def read(self, digest: str) -> bytes | None:
        """The bytes named `digest`, or None if absent. A damaged file counts as absent, until it is written again."""
        try:
            content = self._path(digest).read_bytes()
        except OSError:
            return None
        return content if digest_of(content) == digest else None

    def write(self, content: bytes) -> str:
        """Keep `content`, where there is room for it; return its digest."""
        digest = digest_of(content)
        write_if_possible(self._path(digest), content)
        return digest

    def _path(self, digest: str) -> Path:
        return self.folder / "sha256" / digest.removeprefix("sha256:")
