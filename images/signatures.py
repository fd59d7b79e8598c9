"""What a file is by its first bytes: model weights, stale bytecode, secrets."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

# Enough for every magic number below, and for the first entry of a zip file.
HEAD_BYTES = 4096
# Files of the code are searched whole up to this size, which is more than any file of it may have.
MAX_SECRET_SCAN_BYTES = 100_000_000

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GGUF = b"GGUF"
_TENSORRT = b"ftrt"
_ZIP = b"PK\x03\x04"
# A pickled long: the magic number that old PyTorch checkpoints start with.
_TORCH_PICKLE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


# Kind, words without which there is none, found much faster than its form, and the form, which is compiled only after one is seen.
_SECRETS = (
    ("aws-access-key-id", (b"AKIA", b"ASIA"), rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b(?<!EXAMPLE)"),
    (
        "aws-secret-access-key",
        (b"aws_secret", b"AWS_SECRET", b"secretAccessKey", b"SecretAccessKey"),
        rb"(?i:aws_secret_access_key|secretaccesskey)['\"]?\s*[:=]\s*['\"]?(?![^\s'\"]*EXAMPLE)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
    ),
    # With its content: the line alone is how code knows such a file.
    (
        "private-key",
        (b"PRIVATE KEY",),
        rb"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,200}?[A-Za-z0-9+/]{40}",
    ),
    (
        "github-token",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})\b",
    ),
    (
        "gitlab-token",
        (b"glpat-", b"gldt-", b"glrt-", b"glptt-", b"glcbt-"),
        rb"\bgl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_-]{20,}",
    ),
    ("slack-token", (b"xox", b"xapp-"), rb"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}"),
    ("slack-webhook", (b"hooks.slack.com",), rb"hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}"),
    ("hugging-face-token", (b"hf_",), rb"\bhf_[A-Za-z0-9]{34,}\b"),
    ("openai-key", (b"T3BlbkFJ",), rb"\bsk-[A-Za-z0-9_-]{16,}T3BlbkFJ[A-Za-z0-9_-]{16,}"),
    ("anthropic-key", (b"sk-ant-",), rb"\bsk-ant-[a-z]+[0-9]{2}-[A-Za-z0-9_-]{80,}"),
    ("google-key", (b"AIza",), rb"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("nvidia-key", (b"nvapi-",), rb"\bnvapi-[A-Za-z0-9_-]{60,}"),
    ("pulumi-token", (b"pul-",), rb"\bpul-[0-9a-f]{40}\b"),
    # Not the words that show the form of a URL, nor the user's own name, which is what databases are tried with.
    (
        "url-password",
        (b"://",),
        (
            rb"://(?P<user>[^\s:/@'\"{}<>$%\\]*):(?!(?i:(?P=user)|pass(?:word|wd)?|secret|changeme|example|x+|\*+|\.+)@)"
            rb"[^\s/@'\"{}<>$\\]{6,}@[A-Za-z0-9\[]"
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
    if head.startswith(_TENSORRT):
        return "tensorrt"
    if _is_onnx(head):
        return "onnx"
    return "safetensors" if _is_safetensors(head, size_bytes) else None


def _is_onnx(head: bytes) -> bool:
    """Whether a protobuf message begins as ONNX exporters write theirs: the version of the format, a name, and another field."""
    begun = re.match(rb"\x08[\x01-\x1f]\x12([\x01-\x40])", head)
    if not begun:
        return False
    end = begun.end() + begun[1][0]
    name, following = head[begun.end() : end], head[end : end + 1]
    return (
        name.isascii()
        and name.decode().isprintable()
        and following in (b"\x1a", b"\x22", b"\x28", b"\x32", b"\x3a", b"\x42")
    )


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
    return tuple(kind for kind, _ in _secrets(content))


def _secrets(content: bytes) -> Iterator[tuple[str, int]]:
    """Kinds, and the line, from 1, of the first of each."""
    for kind, words, form in _SECRETS:
        if any(word in content for word in words) and (found := re.search(form, content)):
            yield kind, content.count(b"\n", 0, found.start()) + 1


def flags_of(path: str, content: bytes, *, size_bytes: int, is_code: bool) -> tuple[str, ...]:
    """The flags of a file by its first bytes, `HEAD_BYTES` at least of a longer one; of the code by all of them.

    The code is ours to search; what distributions and wheels ship (test keys, examples) is public already.
    """
    model = model_format(content[:HEAD_BYTES], size_bytes)
    stale = path.endswith(".pyc") and is_stale_bytecode(content)
    return (
        *((f"model:{model}",) if model else ()),
        *(("stale-bytecode",) if stale else ()),
        *((f"secret:{kind}:{line}" for kind, line in _secrets(content)) if is_code else ()),
    )
