"""What an image holds, read from the registry: layer sizes and tar headers, without an engine.

Layers never change, so the index of each is kept on disk by digest; checking a code image that stands on a known base
downloads the code layer only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from images.digests import canonical_json, write_if_possible
from images.errors import ManifestUnsupported
from images.index import FileEntry, ImageIndex, Kind, LayerIndex
from images.layer import APP_FOLDER
from images.media_types import family_of
from images.registry import Manifest, RegistryClient
from images.signatures import HEAD_BYTES, MAX_SECRET_SCAN_BYTES, is_stale_bytecode, model_format, secrets_in

# Part of the cache key: raise it when what is told of a file changes.
SCAN_VERSION = 2

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def image_index(client: RegistryClient, digest: str, cache: Path) -> ImageIndex:
    """Index the image `digest` of the client's repository; layers known to `cache` are not downloaded.

    Raises: ImageMissing; ManifestUnsupported, for an index or a layer that is neither gzip nor plain tar.
    """
    manifest, document = _manifest_of_one(client, digest)
    return ImageIndex(
        digest=manifest.digest,
        media_type=manifest.media_type,
        config=json.loads(client.get_blob(document["config"]["digest"])),
        layers=tuple(_layer(client, item["digest"], item["size"], cache) for item in document["layers"]),
    )


def top_layer_index(client: RegistryClient, digest: str, cache: Path) -> LayerIndex:
    """Index the last layer of the image `digest` alone: of a code image, the code. Raises like `image_index`."""
    top = _manifest_of_one(client, digest)[1]["layers"][-1]
    return _layer(client, top["digest"], top["size"], cache)


def _manifest_of_one(client: RegistryClient, digest: str) -> tuple[Manifest, dict[str, Any]]:
    manifest = client.get_manifest(digest)
    document = manifest.document
    if family_of(manifest.media_type) is None or "layers" not in document:
        message = f"`{client.repository}@{digest}` is `{manifest.media_type}`, not the manifest of one image"
        raise ManifestUnsupported(message, hint="Name the digest of the image for one platform")
    return manifest, document


def _layer(client: RegistryClient, digest: str, compressed_bytes: int, cache: Path) -> LayerIndex:
    path = cache / f"layer-index-{SCAN_VERSION}" / f"{digest.removeprefix('sha256:')}.json.gz"
    try:
        return _decoded(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        pass  # absent or damaged: the registry has the truth
    index = client.read_blob(digest, lambda stream: _scan(stream, digest, compressed_bytes))
    write_if_possible(path, gzip.compress(canonical_json(asdict(index)), compresslevel=1, mtime=0))
    return index


def _decoded(raw: bytes) -> LayerIndex:
    document = json.loads(raw)
    entries = tuple(FileEntry(**{**entry, "flags": tuple(entry["flags"])}) for entry in document.pop("entries"))
    return LayerIndex(**document, entries=entries)


def _scan(blob: BinaryIO, digest: str, compressed_bytes: int) -> LayerIndex:
    try:
        entries = tuple(_entries(_unpacked(blob, digest)))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as err:
        message = f"Layer `{digest}` cannot be read as a tar archive: {err}"
        raise ManifestUnsupported(message, hint="Build the image again with gzip-compressed layers") from err
    return LayerIndex(
        digest=digest,
        compressed_bytes=compressed_bytes,
        unpacked_bytes=sum(entry.size_bytes for entry in entries),
        entries=entries,
    )


def _unpacked(blob: BinaryIO, digest: str) -> IO[bytes]:
    stream = io.BufferedReader(cast("io.RawIOBase", _Readable(blob)), buffer_size=1 << 20)
    head = stream.peek(4)
    if head.startswith(_ZSTD_MAGIC):
        message = f"Layer `{digest}` is compressed with zstd"
        raise ManifestUnsupported(message, hint="Build the image with gzip-compressed layers")
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if head.startswith(_GZIP_MAGIC) else stream


class _Readable(io.RawIOBase):
    """Gives a plain `read` the interface that a buffer needs."""

    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._blob.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _entries(unpacked: IO[bytes]) -> Iterator[FileEntry]:
    with tarfile.open(fileobj=unpacked, mode="r|") as tar:
        for member in tar:
            sha256, flags = _content(tar, member) if member.isreg() else ("", ())
            yield FileEntry(
                path=_path(member.name),
                kind=_kind(member),
                size_bytes=member.size if member.isreg() else 0,
                mode=member.mode & 0o7777,
                sha256=sha256,
                link=_link(member),
                flags=flags,
            )


def _link(member: tarfile.TarInfo) -> str:
    if member.islnk():
        return _path(member.linkname)
    return member.linkname if member.issym() else ""


def _path(name: str) -> str:
    return name.removeprefix("./").rstrip("/")


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isreg():
        return "file"
    if member.isdir():
        return "folder"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "other"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, tuple[str, ...]]:
    """SHA-256 and flags of a file."""
    content = cast("IO[bytes]", tar.extractfile(member))
    head = content.read(HEAD_BYTES)
    # The code is ours to search; what distributions and wheels ship (test keys, examples) is public already.
    if _path(member.name).startswith(f"{APP_FOLDER}/") and member.size <= MAX_SECRET_SCAN_BYTES:
        head += content.read()
        secrets = secrets_in(head)
    else:
        secrets = ()
    hashed = hashlib.sha256(head)
    while piece := content.read(1 << 20):
        hashed.update(piece)
    flags = []
    if model := model_format(head[:HEAD_BYTES], member.size):
        flags.append(f"model:{model}")
    if member.name.endswith(".pyc") and is_stale_bytecode(head):
        flags.append("stale-bytecode")
    return hashed.hexdigest(), (*flags, *(f"secret:{kind}" for kind in secrets))
