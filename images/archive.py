"""An image as one tar for a container engine, which carries the index of `docker save` and that of an OCI layout.

Engines up to 24 read the first; later ones, and those that keep their images in containerd, read the second. Blobs pass through: no more
than a piece of one is ever in memory, and nothing is written to a disk.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Iterator

from images.content import ImageContent
from images.digests import canonical_json
from images.errors import DigestMismatch
from images.layout import INDEX_FILE, LAYOUT_DOCUMENT, LAYOUT_FILE, REF_NAME, blob_path, descriptor_of, index_of
from images.manifest import Blob

# containerd's name for the whole name of an image; short names are those of Docker Hub.
CONTAINERD_NAME = "io.containerd.image.name"
DOCKER_HUB = "docker.io/library"


def archive_pieces(image: ImageContent, name: str, *, without: Collection[str] = ()) -> Iterator[bytes]:
    """The tar that an engine loads the image from as `name` (`repository:tag`), in pieces.

    `without` are digests of layers that the engine has, and that are left out. Raises, after the first piece: DigestMismatch, and the
    registry failures of `images.errors`.
    """
    for path, content in _documents(image, name):
        yield _head(path, len(content)) + content + _padding(len(content))
    for blob in image.blobs:
        if blob.digest not in without:
            yield _head(blob_path(blob.digest), blob.size_bytes)
            yield from _proven(image, blob)
            yield _padding(blob.size_bytes)
    yield bytes(2 * tarfile.BLOCKSIZE)


def archive_bytes(image: ImageContent, name: str, *, without: Collection[str] = ()) -> int:
    """The length of that tar."""
    sizes = [len(content) for _, content in _documents(image, name)]
    sizes += [blob.size_bytes for blob in image.blobs if blob.digest not in without]
    return sum(tarfile.BLOCKSIZE + size + len(_padding(size)) for size in sizes) + 2 * tarfile.BLOCKSIZE


def _documents(image: ImageContent, name: str) -> list[tuple[str, bytes]]:
    named = descriptor_of(image, **{CONTAINERD_NAME: f"{DOCKER_HUB}/{name}", REF_NAME: name.rpartition(":")[2]})
    saved = {
        "Config": blob_path(image.config_digest),
        "RepoTags": [name],
        "Layers": [blob_path(layer.digest) for layer in image.layers],
    }
    documents = ((LAYOUT_FILE, LAYOUT_DOCUMENT), (INDEX_FILE, index_of([named])), ("manifest.json", [saved]))
    return [(path, canonical_json(document)) for path, document in documents]


def _proven(image: ImageContent, blob: Blob) -> Iterator[bytes]:
    hasher = hashlib.sha256()
    for piece in image.pieces(blob):
        hasher.update(piece)
        yield piece
    received = f"sha256:{hasher.hexdigest()}"
    if received != blob.digest:
        message = f"The registry returned `{received}` for `{blob.digest}`"
        raise DigestMismatch(
            message, hint="Run the command again; if it stays, the registry or a proxy damages content"
        )


def _head(path: str, size_bytes: int) -> bytes:
    member = tarfile.TarInfo(path)
    member.size, member.mode = size_bytes, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % tarfile.BLOCKSIZE)
