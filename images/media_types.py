"""The two families of image media types. An image stays in one family: some runtimes reject mixtures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Media types of one family; `index` is of a manifest that names others, `layer` is a gzip-compressed tar."""

    manifest: str
    index: str
    config: str
    layer: str
    takes_annotations: bool


OCI = Family(
    manifest="application/vnd.oci.image.manifest.v1+json",
    index="application/vnd.oci.image.index.v1+json",
    config="application/vnd.oci.image.config.v1+json",
    layer="application/vnd.oci.image.layer.v1.tar+gzip",
    takes_annotations=True,
)
DOCKER = Family(
    manifest="application/vnd.docker.distribution.manifest.v2+json",
    index="application/vnd.docker.distribution.manifest.list.v2+json",
    config="application/vnd.docker.container.image.v1+json",
    layer="application/vnd.docker.image.rootfs.diff.tar.gzip",
    # Docker schema 2 knows no annotations; a registry may reject unknown keys.
    takes_annotations=False,
)

# Of whatever stands under a tag or a digest.
MANIFEST_TYPES = tuple(media_type for family in (OCI, DOCKER) for media_type in (family.manifest, family.index))
ACCEPT = f"{OCI.manifest}, {DOCKER.manifest}"


def family_of(manifest_media_type: str) -> Family | None:
    """The family that a manifest media type belongs to, or None for indexes and anything else."""
    return next((family for family in (OCI, DOCKER) if family.manifest == manifest_media_type), None)
