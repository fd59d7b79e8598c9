"""`ports.RepositoryImages` and `ports.ImageUsers` in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.image_needs import newest_first
from lifecycle.domain.repository_image import ManifestContent, RepositoryImage
from lifecycle.errors import CapctlError
from lifecycle.ports.clock import Clock
from tests.fakes.images import FakeImageRegistry


class FakeRepositoryImages:
    """What `registry` holds, and what tests `add`. `pulled` tells pulls, `refused` why an image cannot be deleted.

    `unreadable` is why no manifest can be read. `looks` are the images whose manifest was: the first time is a pull, as in ECR; those of
    `registry` were pushed here, and are known. `deletions` counts the calls.
    """

    def __init__(self, registry: FakeImageRegistry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._added: dict[Digest, tuple[RepositoryImage, ManifestContent]] = {}
        self.pulled: dict[Digest, datetime] = {}
        self.refused: dict[Digest, str] = {}
        self.unreadable: CapctlError | None = None
        self.looks: list[Digest] = []
        self.deletions = 0

    def list(self) -> tuple[RepositoryImage, ...]:
        return newest_first(
            replace(image, pulled_at=self.pulled.get(image.digest)) for image, _ in self._all().values()
        )

    def contents(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        if self.unreadable:
            raise self.unreadable
        there = self._all()
        for image in images:
            if image.digest in self._added and image.digest not in self.looks:
                self.looks.append(image.digest)
                self.pulled[image.digest] = self._clock.now()
        return {image.digest: there[image.digest][1] for image in images if image.digest in there}

    def known(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        there = self._all()
        unknown = self._added.keys() - self.looks
        return {one.digest: there[one.digest][1] for one in images if one.digest in there.keys() - unknown}

    def exists(self, digest: Digest) -> bool:
        return digest in self._all()

    def delete(self, digests: Collection[Digest]) -> Mapping[Digest, str]:
        self.deletions += 1
        for digest in set(digests) - self.refused.keys():
            self._added.pop(digest, None)
            self._registry.forget(digest)
        return {digest: why for digest, why in self.refused.items() if digest in digests}

    def add(self, name: str, *tags: str, content: ManifestContent | None = None) -> RepositoryImage:
        """Push an image of one layer of its own, or of `content`; its digest is that of `name`."""
        digest, layer = digest_of(name.encode()), digest_of(f"layer of {name}".encode())
        content = content or ManifestContent(layers=(layer,), blobs={layer: 1_000_000})
        size_bytes = sum(content.blobs.values())
        image = RepositoryImage(digest=digest, tags=tags, pushed_at=self._clock.now(), size_bytes=size_bytes)
        self._added[digest] = (image, content)
        return image

    def _all(self) -> dict[Digest, tuple[RepositoryImage, ManifestContent]]:
        found = dict(self._added)
        for ref, index in self._registry.held().items():
            blobs = {Digest(layer.digest): layer.compressed_bytes for layer in index.layers}
            tags = tuple(sorted(tag for tag, of in self._registry.tags.items() if of == ref))
            image = RepositoryImage(
                digest=ref.digest,
                tags=tags,
                pushed_at=self._registry.pushed.get(ref),
                size_bytes=sum(layer.compressed_bytes for layer in index.layers),
            )
            below = [other.digest for other, one in self._registry.held().items() if one.layers == index.layers[:-1]]
            content = ManifestContent(layers=tuple(blobs), blobs=blobs, base=below[0] if below else None)
            found[ref.digest] = (image, content)
        return found
