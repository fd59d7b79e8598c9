"""An image with the way to its bytes: some are in memory, the rest comes from a registry when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from images.digests import DigestCache, digest_of, is_digest
from images.errors import ManifestUnsupported
from images.manifest import Blob, parse_config, parse_manifest, read_stored

if TYPE_CHECKING:
    from images.registry import RegistryClient


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContent:
    """One image. `config` describes it, `layers` from the lowest up unpack to `diff_ids`; `platform` is as an index tells it.

    `read(blob, start)` gives the bytes of a layer from `start` on. Nobody has compared them with the digest.
    """

    media_type: str
    manifest: bytes = field(repr=False)
    config: bytes = field(repr=False)
    layers: tuple[Blob, ...]
    diff_ids: tuple[str, ...]
    platform: Mapping[str, str]
    read: Callable[[Blob, int], Iterator[bytes]] = field(repr=False)

    @property
    def digest(self) -> str:
        """The manifest's, which names the image in every registry."""
        return digest_of(self.manifest)

    @property
    def config_digest(self) -> str:
        """The config's, which an engine takes for the id of the image."""
        return digest_of(self.config)

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """All that there is, each once: manifest, config, layers."""
        own = (
            Blob(digest=self.digest, size_bytes=len(self.manifest)),
            Blob(digest=self.config_digest, size_bytes=len(self.config)),
        )
        return tuple(dict.fromkeys((*own, *self.layers)))

    @property
    def size_bytes(self) -> int:
        """Of all blobs."""
        return sum(blob.size_bytes for blob in self.blobs)

    def pieces(self, blob: Blob, start: int = 0) -> Iterator[bytes]:
        """The bytes of any of `blobs` from `start` on, not compared with its digest."""
        for held in (self.manifest, self.config):
            if blob.digest == digest_of(held):
                return iter((held[start:],))
        return self.read(blob, start)


def image_content(client: RegistryClient, manifest: bytes, config: bytes, *, held: Mapping[str, bytes]) -> ImageContent:
    """The image of a manifest whose layers are in `held` by digest, or else in the repository of `client`.

    Raises: ManifestUnsupported, if the manifest is not that of one image, or contradicts its config.
    """
    parsed, described = parse_manifest(manifest), parse_config(config)
    diff_ids = tuple((described.get("rootfs") or {}).get("diff_ids") or ())
    if len(parsed.layers) != len(diff_ids) or not all(map(is_digest, diff_ids)):
        message = f"The manifest and the config of `{parsed.digest}` contradict each other"
        raise ManifestUnsupported(message, hint="Build and push the image again")

    def read(blob: Blob, start: int) -> Iterator[bytes]:
        if blob.digest in held:
            return iter((held[blob.digest][start:],))
        return client.blob_pieces(blob.digest, size_bytes=blob.size_bytes, start=start)

    return ImageContent(
        media_type=parsed.family.manifest,
        manifest=manifest,
        config=config,
        layers=parsed.layers,
        diff_ids=diff_ids,
        platform={name: described[name] for name in ("architecture", "os", "variant") if described.get(name)},
        read=read,
    )


def stored_content(client: RegistryClient, digest: str, cache: DigestCache) -> ImageContent:
    """An image of the client's repository; its manifest and config are kept in `cache`. Raises: ImageMissing, ManifestUnsupported."""
    manifest, config = read_stored(client, digest, cache)
    return image_content(client, manifest, config, held={})
