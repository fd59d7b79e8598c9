"""Content addresses: `sha256:` and 64 hex digits."""

import hashlib
import json
import re
from typing import Any, NewType

from lifecycle.errors import UsageError

Digest = NewType("Digest", str)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLACE_OF_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}\b")


def parse_digest(text: str) -> Digest:
    """Raises `UsageError` unless `text` is `sha256:` and 64 lower-case hex digits."""
    if not is_digest(text):
        raise UsageError(
            "digest-invalid",
            f"`{text}` is not a digest",
            hint="Write `sha256:` and 64 hex digits, as `capctl image push` prints them; on a command line the first 12 digits are enough",
        )
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether `text` is a whole digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> Digest:
    """The digest of `data`."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def canonical_json(value: Any) -> bytes:
    """`value` as JSON that is equal, byte for byte, whenever the value is equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def short(digest: str, length: int = 12) -> str:
    """The first hex digits of a digest, for names that people read."""
    return digest.removeprefix("sha256:")[:length]


def brief(text: str) -> str:
    """`text` with each digest in it cut to the digits by which people tell them apart: `sha256:` and 12."""
    return _PLACE_OF_DIGEST.sub(r"\1", text)
