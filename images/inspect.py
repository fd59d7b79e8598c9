"""What an image holds, read from the registry: layer sizes and tar headers, without an engine.

Layers never change, so the index of each is kept on disk by digest; checking a code image that stands on a known base
downloads the code layer only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from images.bounded import remove_older, trim, used
from images.digests import DigestCache, canonical_json, write_if_possible
from images.errors import ManifestUnsupported
from images.imports import scan
from images.index import Broken, FileEntry, ImageIndex, Import, Kind, LayerIndex
from images.layer import APP_FOLDER
from images.manifest import Blob, known_config, parse_config, parse_manifest, read_stored
from images.packages import MAX_RECORD_BYTES, RECORD, listed_names
from images.registry import RegistryClient
from images.signatures import HEAD_BYTES, MAX_SECRET_SCAN_BYTES, flags_of

# Part of the cache key: raise it when what is told of a file changes.
SCAN_VERSION = 6
# The index of a base takes less than one of them, that of code a hundredth.
MOST_KEPT_BYTES = 100_000_000

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def image_index(client: RegistryClient, digest: str, cache: Path) -> ImageIndex:
    """Index the image `digest` of the client's repository; layers known to `cache` are not downloaded.

    Raises: ImageMissing; ManifestUnsupported, for an index or a layer that is neither gzip nor plain tar.
    """
    raw, config = read_stored(client, digest)
    manifest = parse_manifest(raw)
    return ImageIndex(
        digest=manifest.digest,
        media_type=manifest.family.manifest,
        config=parse_config(config),
        layers=tuple(_layer(client, layer, cache) for layer in manifest.layers),
    )


def top_layer_index(client: RegistryClient, digest: str, cache: Path) -> LayerIndex:
    """Index the last layer of the image `digest` alone: of a code image, the code. Raises like `image_index`."""
    manifest = parse_manifest(client.get_manifest(digest).raw)
    if not manifest.layers:
        message = f"`{digest}` has no layer"
        raise ManifestUnsupported(message, hint="Name an image that `capctl image push` made")
    return _layer(client, manifest.layers[-1], cache)


def known_index(digest: str, blobs: DigestCache, cache: Path) -> ImageIndex | None:
    """Index the image `digest` without a registry, if all of it was read before: manifest and config into `blobs`, layers into `cache`."""
    raw, config = blobs.read(digest), known_config(digest, blobs)
    if raw is None or config is None:
        return None
    manifest = parse_manifest(raw)
    # Decoded only if all of them are there.
    if not all(_kept_at(layer, cache).is_file() for layer in manifest.layers):
        return None
    layers = [known for layer in manifest.layers if (known := _known_layer(layer, cache))]
    if len(layers) < len(manifest.layers):
        return None
    return ImageIndex(
        digest=digest,
        media_type=manifest.family.manifest,
        config=config,
        layers=tuple(layers),
    )


def _known_layer(layer: Blob, cache: Path) -> LayerIndex | None:
    try:
        path = _kept_at(layer, cache)
        known = _decoded(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None  # absent or damaged: the registry has the truth
    used(path)
    return known


def _kept_at(layer: Blob, cache: Path) -> Path:
    return cache / f"layer-index-{SCAN_VERSION}" / f"{layer.digest.removeprefix('sha256:')}.json.gz"


def _layer(client: RegistryClient, layer: Blob, cache: Path) -> LayerIndex:
    if known := _known_layer(layer, cache):
        return known
    with client.open_blob(layer.digest, layer.size_bytes) as stream:
        index = _scan(stream, layer)
    path = _kept_at(layer, cache)
    write_if_possible(path, gzip.compress(canonical_json(asdict(index)), compresslevel=1, mtime=0))
    trim(path.parent, most_bytes=MOST_KEPT_BYTES)
    remove_older(path.parent)
    return index


def _decoded(raw: bytes) -> LayerIndex:
    document = json.loads(raw)
    return LayerIndex(**{**document, "entries": tuple(map(_decoded_entry, document["entries"]))})


def _decoded_entry(entry: dict[str, Any]) -> FileEntry:
    imports = tuple(Import(**each) for each in entry["imports"])
    lists = {name: tuple(entry[name]) for name in ("flags", "defines", "sets", "owns")}
    broken = Broken(*entry["broken"]) if entry["broken"] else None
    return FileEntry(**{**entry, **lists, "imports": imports, "broken": broken})


def _scan(blob: BinaryIO, layer: Blob) -> LayerIndex:
    try:
        entries = tuple(_entries(_unpacked(blob, layer.digest)))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as err:
        message = f"Layer `{layer.digest}` cannot be read as a tar archive: {err}"
        raise ManifestUnsupported(message, hint="Build the image again with gzip-compressed layers") from err
    return LayerIndex(
        digest=layer.digest,
        compressed_bytes=layer.size_bytes,
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
            told = _content(tar, member) if member.isreg() else {}
            yield FileEntry(
                path=_path(member.name),
                kind=_kind(member),
                size_bytes=member.size if member.isreg() else 0,
                mode=member.mode & 0o7777,
                link=_link(member),
                **told,
            )


def _link(member: tarfile.TarInfo) -> str:
    if member.islnk():
        return _path(member.linkname)
    return member.linkname if member.issym() else ""


def _path(name: str) -> str:
    """Where an engine unpacks it: whatever the spelling, below the root."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isreg():
        return "file"
    if member.isdir():
        return "folder"
    if member.issym():
        return "symlink"
    return "hardlink" if member.islnk() else "other"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    """What the content of a file tells: the fields of its entry."""
    path, content = _path(member.name), cast("IO[bytes]", tar.extractfile(member))
    is_code = path.startswith(f"{APP_FOLDER}/") and member.size <= MAX_SECRET_SCAN_BYTES
    is_record = path.endswith(RECORD) and member.size <= MAX_RECORD_BYTES
    head = content.read() if is_code or is_record else content.read(HEAD_BYTES)
    hashed = hashlib.sha256(head)
    while piece := content.read(1 << 20):
        hashed.update(piece)
    told: dict[str, Any] = {
        "sha256": hashed.hexdigest(),
        "flags": flags_of(path, head, size_bytes=member.size, is_code=is_code),
    }
    if is_code and path.endswith(".py"):
        told |= scan(head, path.removeprefix(f"{APP_FOLDER}/"))._asdict()
    if is_record:
        told["owns"] = listed_names(head)
    return told
