"""What a file is by its first bytes: model weights, stale bytecode, secrets."""

from __future__ import annotations

import re
import struct

# Enough for every magic number below, and for the first entry of a zip file.
HEAD_BYTES = 4096
# Text files of the code are searched whole up to this size.
MAX_SECRET_SCAN_BYTES = 1_000_000

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GGUF = b"GGUF"
_ZIP = b"PK\x03\x04"
# A pickled long: the magic number that old PyTorch checkpoints start with.
_TORCH_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_SECRETS = (
    ("aws-access-key-id", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("aws-secret-access-key", re.compile(rb"(?i)aws_secret_access_key['\"]?\s*[:=]\s*['\"]?[A-Za-z0-9/+]{40}\b")),
    ("private-key", re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")),
    ("github-token", re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    ("slack-token", re.compile(rb"\bxox[abpr]-[A-Za-z0-9-]{10,}")),
    (
        # The very word `password` is how a message shows the form of a URL.
        "url-password",
        re.compile(
            rb"\b(?:postgres(?:ql)?|mysql|redis|amqp|https?)://[^\s:/@'\"{}<$]+:(?!(?i:password)@)[^\s/@'\"{}<$]{6,}@"
        ),
    ),
)


def model_format(head: bytes, size_bytes: int) -> str | None:
    """Format of model weights that a file's first `HEAD_BYTES` bytes show, or None."""
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(_GGUF):
        return "gguf"
    if head.startswith(_TORCH_PICKLE):
        return "torch"
    if head.startswith(_ZIP) and b"data.pkl" in head:
        return "torch"
    if head[4:8] == b"TFL3":
        return "tflite"
    return "safetensors" if _is_safetensors(head, size_bytes) else None


def _is_safetensors(head: bytes, size_bytes: int) -> bool:
    if len(head) < 10 or head[8:10] != b'{"':
        return False
    (header_bytes,) = struct.unpack("<Q", head[:8])
    return bool(header_bytes <= size_bytes - 8) and (b'"dtype"' in head or b'"__metadata__"' in head)


def is_stale_bytecode(head: bytes) -> bool:
    """Whether a `.pyc` names its source's time, which a rebuilt layer changes: it would be compiled at each start."""
    return len(head) >= 8 and head[4:8] == b"\0\0\0\0"


def secrets_in(content: bytes) -> tuple[str, ...]:
    """Kinds of secret that `content` seems to hold."""
    return tuple(kind for kind, pattern in _SECRETS if pattern.search(content))
