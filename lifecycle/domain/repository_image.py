"""Images as a repository holds them, and what their manifests name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from images.index import BASE_DIGEST, BASE_TAG, CODE_TAG
from lifecycle.domain.digest import Digest, brief
from lifecycle.domain.release_tag import ReleaseTag, parse_release_tag

# How tools that know no referrers name what is attached to an image: `sha256-<64 hex>`, `sha256-<64 hex>.sig`.
_ATTACHED = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?")
# In the media type of a manifest that names others.
_INDEX = re.compile(r"\.index\.|\.manifest\.list\.")


class ImageKind(StrEnum):
    """What an image is to capctl. `attached` is what describes another image: a signature, an SBOM, an attestation."""

    CODE = "code"
    BASE = "base"
    INDEX = "index"
    ATTACHED = "attached"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryImage:
    """A manifest of the repository. `pulled_at` is the last pull that the repository recorded, which may have been capctl's own look
    at the manifest; `size_bytes` is what its layers take, compressed, and None where the repository does not tell.
    """

    digest: Digest
    tags: tuple[str, ...] = ()
    pushed_at: datetime | None = None
    pulled_at: datetime | None = None
    size_bytes: int | None = None
    media_type: str = ""

    def __str__(self) -> str:
        return self.tags[0] if self.tags else brief(self.digest)

    def age(self, now: datetime) -> timedelta | None:
        """Since its push; None where the repository does not tell."""
        return now - self.pushed_at if self.pushed_at else None

    @property
    def is_told_by_tag(self) -> bool:
        """Whether its tag and its media type tell what it is: capctl's own code or base, which is no index and describes no other."""
        return not _INDEX.search(self.media_type) and any(tag.startswith((CODE_TAG, BASE_TAG)) for tag in self.tags)

    @property
    def foreign_tags(self) -> tuple[str, ...]:
        """Those that say that somebody wants the image: none of capctl's commands set them, nor did a signer."""
        return tuple(
            tag
            for tag in self.tags
            if not (tag.startswith((CODE_TAG, BASE_TAG)) or _ATTACHED.fullmatch(tag) or parse_release_tag(tag))
        )

    @property
    def last_released(self) -> ReleaseTag | None:
        """The latest of its tags of releases, whoever's they are and whether they exist or not."""
        return max(filter(None, map(parse_release_tag, self.tags)), key=lambda tag: tag.day, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestContent:
    """What a manifest names: its layers from the lowest up, all blobs with their bytes, the manifests of an index, the image that it
    describes, and the one that it stands on."""

    layers: tuple[Digest, ...] = ()
    blobs: Mapping[Digest, int] = field(default_factory=dict)
    children: tuple[Digest, ...] = ()
    subject: Digest | None = None
    base: Digest | None = None

    @property
    def is_told(self) -> bool:
        """Whether it says what the image takes; an index takes nothing of its own."""
        return bool(self.blobs or self.children)


NOTHING_KNOWN = ManifestContent()


def content_of(manifest: Mapping[str, Any]) -> ManifestContent:
    """What a decoded manifest names; raises `ValueError`, `KeyError` or `TypeError` for one in no known shape.

    The layers of a manifest of Docker's first schema are not told.
    """
    layers = tuple(manifest.get("layers") or ())
    blobs = (*layers, *filter(None, (manifest.get("config"),)))
    subject, base = manifest.get("subject"), (manifest.get("annotations") or {}).get(BASE_DIGEST)
    return ManifestContent(
        layers=tuple(_digest(layer["digest"]) for layer in layers),
        blobs={_digest(blob["digest"]): int(blob["size"]) for blob in blobs},
        children=tuple(_digest(child["digest"]) for child in manifest.get("manifests") or ()),
        subject=_digest(subject["digest"]) if subject else None,
        base=_digest(base) if base else None,
    )


def kind_of(image: RepositoryImage, content: ManifestContent) -> ImageKind:
    """By its tags, and without any by what its manifest names."""
    if subject_of(image, content):
        return ImageKind.ATTACHED
    if any(tag.startswith(CODE_TAG) for tag in image.tags):
        return ImageKind.CODE
    if any(tag.startswith(BASE_TAG) for tag in image.tags):
        return ImageKind.BASE
    if content.children:
        return ImageKind.INDEX
    return ImageKind.CODE if content.base and not image.tags else ImageKind.OTHER


def subject_of(image: RepositoryImage, content: ManifestContent) -> Digest | None:
    """The image that it describes, by its manifest or by a tag; None for one that stands for itself."""
    named = next((found[1] for tag in image.tags if (found := _ATTACHED.fullmatch(tag))), None)
    return content.subject or (Digest(f"sha256:{named}") if named else None)


def stands_on(content: ManifestContent, base: RepositoryImage, below: ManifestContent) -> bool:
    """Whether an image was made from `base`: it says so, or, as Docker's manifests cannot say it, begins with all its layers."""
    if content.base:
        return content.base == base.digest
    return 0 < len(below.layers) < len(content.layers) and content.layers[: len(below.layers)] == below.layers


def _digest(text: Any) -> Digest:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no digest")
    return Digest(text)
