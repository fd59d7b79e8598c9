"""Whole images of a few bytes, which programs take as they take large ones."""

from __future__ import annotations

import gzip
import io
import tarfile

from images.content import image_content
from images.media_types import OCI, Family
from images.registry import RegistryClient
from lifecycle.domain.digest import canonical_json, digest_of
from lifecycle.domain.image_content import ImageContent

# All bytes are at hand: nobody is asked.
NO_REGISTRY = RegistryClient("http://127.0.0.1:1", "nobody")


def image_of(*texts: str, family: Family = OCI) -> ImageContent:
    """An image with one file in each layer."""
    layers = [_tar(text) for text in texts]
    held: dict[str, bytes] = {digest_of(blob): blob for blob in map(_packed, layers)}
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["true"], "Labels": {"dev.capctl.root": "tiny"}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
    }
    raw = canonical_json(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": family.manifest,
        "config": {"mediaType": family.config, "digest": digest_of(raw), "size": len(raw)},
        "layers": [{"mediaType": family.layer, "digest": name, "size": len(blob)} for name, blob in held.items()],
    }
    return image_content(NO_REGISTRY, canonical_json(manifest), raw, held=held)


def _tar(text: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo(f"file-{digest_of(text.encode())[-8:]}")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


def _packed(layer: bytes) -> bytes:
    return gzip.compress(layer, mtime=0)
