"""The images of an ECR repository, and what their manifests name.

ECR counts a look at a manifest as a pull. Manifests never change, so each is read once and kept on disk: that one look may make an image
seem younger than it is, and never older; who looks only at images that stay anyway delays nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from images.digests import DigestCache
from images.media_types import MANIFEST_TYPES
from lifecycle.adapters.aws.errors import error_code, translated
from lifecycle.adapters.aws.scanning import pages
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, digest_of
from lifecycle.domain.image_needs import newest_first
from lifecycle.domain.repository_image import ManifestContent, RepositoryImage, content_of
from lifecycle.errors import CapctlError

_AT_ONCE = 100  # the most that BatchGetImage and BatchDeleteImage take
_GONE = "ImageNotFound"


class EcrImages:
    """`ports.RepositoryImages` by ECR's own API."""

    def __init__(self, target: Target, session: AwsSession) -> None:
        self._target, self._session = target, session
        self._manifests = DigestCache(cache_folder() / "blobs")

    def list(self) -> tuple[RepositoryImage, ...]:
        with self._asking("listing the images of"):
            asked = pages(self._ecr, "describe_images", size=1000, repositoryName=self._name)
            return newest_first([self._image(detail) for page in asked for detail in page["imageDetails"]])

    def contents(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        known = self._kept(images)
        asked = [image.digest for image in images if image.digest not in known]
        for start in range(0, len(asked), _AT_ONCE):
            for digest, manifest in self._read(asked[start : start + _AT_ONCE]).items():
                known[digest] = manifest
                self._manifests.write(manifest)
        return _contents(known)

    def known(self, images: Collection[RepositoryImage]) -> Mapping[Digest, ManifestContent]:
        return _contents(self._kept(images))

    def exists(self, digest: Digest) -> bool:
        with self._asking("looking at an image of"):
            try:
                self._ecr.describe_images(repositoryName=self._name, imageIds=[{"imageDigest": digest}])
            except ClientError as error:
                if error_code(error) == "ImageNotFoundException":
                    return False
                raise
        return True

    def delete(self, digests: Collection[Digest]) -> Mapping[Digest, str]:
        wanted, failed = [*digests], dict[Digest, str]()
        for start in range(0, len(wanted), _AT_ONCE):
            ids = [{"imageDigest": digest} for digest in wanted[start : start + _AT_ONCE]]
            with self._asking("deleting images of"):
                answer = self._ecr.batch_delete_image(repositoryName=self._name, imageIds=ids)
            failed |= {
                Digest(one["imageId"]["imageDigest"]): _why(one)
                for one in answer.get("failures", ())
                if one.get("failureCode") != _GONE
            }
        return failed

    @property
    def _ecr(self) -> Any:
        return self._session.client("ecr")

    @property
    def _name(self) -> str:
        return self._target.repository_name

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        with translated(f"{doing} repository `{self._name}`"):
            try:
                yield
            except ClientError as error:
                if error_code(error) != "RepositoryNotFoundException":
                    raise
                told = (
                    self._target.registry_url
                    and f"; only ECR tells when the images of `{self._target.registry_url}` were pulled"
                )
                raise CapctlError(
                    "repository-missing",
                    f"ECR has no repository `{self._name}` in {self._target.region}{told or ''}",
                    hint="Run `capctl bootstrap`, or correct `image.repository` in capctl.yaml",
                ) from error

    def _kept(self, images: Collection[RepositoryImage]) -> dict[Digest, bytes]:
        return {image.digest: held for image in images if (held := self._manifests.read(image.digest)) is not None}

    def _image(self, detail: dict[str, Any]) -> RepositoryImage:
        digest = Digest(detail["imageDigest"])
        return RepositoryImage(
            digest=digest,
            tags=tuple(sorted(detail.get("imageTags", ()))),
            pushed_at=detail.get("imagePushedAt"),
            pulled_at=detail.get("lastRecordedPullTime"),
            size_bytes=detail.get("imageSizeInBytes"),
            media_type=detail.get("imageManifestMediaType", ""),
        )

    def _read(self, digests: Sequence[Digest]) -> dict[Digest, bytes]:
        with self._asking("reading manifests of"):
            answer = self._ecr.batch_get_image(
                repositoryName=self._name,
                imageIds=[{"imageDigest": digest} for digest in digests],
                # Without them ECR may give an older form of a manifest, under another digest.
                acceptedMediaTypes=list(MANIFEST_TYPES),
            )
        found = {Digest(one["imageId"]["imageDigest"]): str(one["imageManifest"]).encode() for one in answer["images"]}
        failures = [one for one in answer.get("failures", ()) if one.get("failureCode") != _GONE]
        if failures:
            raise CapctlError(
                "manifest-unsupported",
                f"ECR does not give the manifest of {failures[0]['imageId'].get('imageDigest')}: {_why(failures[0])}",
                hint="Run the command again; if it stays, look at the image in ECR",
            )
        return found


def _contents(manifests: Mapping[Digest, bytes]) -> dict[Digest, ManifestContent]:
    return {digest: _content(digest, manifest) for digest, manifest in manifests.items()}


def _content(digest: Digest, manifest: bytes) -> ManifestContent:
    if digest_of(manifest) != digest:
        raise CapctlError(
            "digest-mismatch",
            f"ECR gave another manifest for {digest}",
            hint="Run the command again; if it stays, look at the image in ECR",
        )
    try:
        return content_of(json.loads(manifest))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CapctlError(
            "manifest-unsupported",
            f"The manifest of {digest} is in no form that capctl knows: {error!r}",
            hint="Look at the image in ECR; what nobody needs can be deleted there",
        ) from error


def _why(failure: Mapping[str, Any]) -> str:
    return f"`{failure.get('failureCode', 'unknown')}`, {failure.get('failureReason') or 'no reason given'}"
