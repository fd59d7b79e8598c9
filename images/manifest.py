"""The manifest and the config of one image, as anybody may have written them: checked here, once, before anything relies on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from images.digests import DigestCache, digest_of, is_digest, read_json
from images.errors import ManifestUnsupported
from images.media_types import OCI, Family, family_of

if TYPE_CHECKING:
    from images.registry import RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What a manifest names: a config or a layer, as stored."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest:
    """The manifest of one image; `layers` from the lowest up. `document` is all of it, for who makes another manifest from it."""

    digest: str
    family: Family
    config: Blob
    layers: tuple[Blob, ...]
    document: dict[str, Any] = field(repr=False)


def parse_manifest(raw: bytes, *, media_type: str = OCI.manifest) -> ImageManifest:
    """The manifest `raw`, whose media type is `media_type` where it tells none itself.

    Raises: ManifestUnsupported, for an index, and for what names no config, or layers without digest and size.
    """
    digest, document = digest_of(raw), read_json(raw)
    if not isinstance(document, dict):
        raise _unsupported(digest, "is no manifest")
    told = document.get("mediaType", media_type)
    family = family_of(told) if isinstance(told, str) else None
    layers = document.get("layers")
    if family is None or not isinstance(layers, list):
        raise _unsupported(digest, f"is `{told}`, not the manifest of one image")
    return ImageManifest(
        digest=digest,
        family=family,
        config=_blob(digest, document.get("config")),
        layers=tuple(_blob(digest, layer) for layer in layers),
        document=document,
    )


def parse_config(raw: bytes) -> dict[str, Any]:
    """The config of an image. Raises: ManifestUnsupported, for one whose fields are not of the kinds that the OCI specification gives."""
    config = read_json(raw)
    run, rootfs = _part(config, "config"), _part(config, "rootfs")
    labels = _part(run, "Labels")
    parts = (run, rootfs, labels)
    lists = ((config, "history", dict), (rootfs, "diff_ids", str), (run, "Env", str))
    is_sound = isinstance(config, dict) and None not in parts and all(_are(*each) for each in lists)
    if not is_sound or not all(isinstance(value, str) for value in (labels or {}).values()):
        raise _unsupported(digest_of(raw), "is no config of an image")
    return dict(config)


def read_stored(client: RegistryClient, digest: str, cache: DigestCache | None = None) -> tuple[bytes, bytes]:
    """Manifest and config of the image `digest` as stored, from `cache` where it has them, else from the client's repository.

    Raises: ImageMissing; ManifestUnsupported.
    """
    manifest = cache.read(digest) if cache else None
    if manifest is None:
        manifest = client.get_manifest(digest).raw
    named = parse_manifest(manifest).config.digest
    config = cache.read(named) if cache else None
    if config is None:
        config = client.get_blob(named)
    parse_config(config)
    if cache:
        cache.write(manifest)
        cache.write(config)
    return manifest, config


def known_config(digest: str, cache: DigestCache) -> dict[str, Any] | None:
    """The config of the image `digest` without a registry, if `cache` has it. Raises: ManifestUnsupported."""
    manifest = cache.read(digest)
    config = cache.read(parse_manifest(manifest).config.digest) if manifest else None
    return parse_config(config) if config else None


def _blob(digest: str, named: Any) -> Blob:
    if not isinstance(named, dict):
        raise _unsupported(digest, "names no config, or a layer that is none")
    size_bytes, blob = named.get("size"), named.get("digest")
    # A digest becomes the name of a file and a part of an address.
    if not (isinstance(blob, str) and is_digest(blob) and type(size_bytes) is int and size_bytes >= 0):
        raise _unsupported(digest, "names a blob without digest or size")
    return Blob(digest=blob, size_bytes=size_bytes)


def _part(whole: Any, name: str) -> dict[str, Any] | None:
    """The object of that name, empty where there is none; None for something else."""
    part = whole.get(name) if isinstance(whole, dict) else None
    if part is None:
        return {}
    return part if isinstance(part, dict) else None


def _are(whole: Any, name: str, kind: type) -> bool:
    values = whole.get(name) if isinstance(whole, dict) else None
    return values is None or (isinstance(values, list) and all(isinstance(value, kind) for value in values))


def _unsupported(digest: str, what: str) -> ManifestUnsupported:
    hint = "Name the digest of the image for one platform, not that of an index; one that is damaged has to be pushed again"
    return ManifestUnsupported(f"`{digest}` {what}", hint=hint)
