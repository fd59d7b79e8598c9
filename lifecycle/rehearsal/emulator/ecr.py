"""ECR: the control plane that tells what a real registry on loopback holds, with the digests that were pushed."""

from __future__ import annotations

import http.client
import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import moto.ecr.models
import moto.ecr.urls
from moto.core.exceptions import AWSError, ServiceException
from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, Image, ecr_backends
from moto.ecr.responses import ECRResponse

from lifecycle.rehearsal.emulator.stage import Stage

_log = logging.getLogger(__name__)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_TOKEN_LIFETIME = timedelta(hours=12)


class Registry:
    """The data plane: the few read and delete calls of the registry API that ECR's answers need."""

    def __init__(self, address: str) -> None:
        self._address = address

    def manifest(self, repository: str, reference: str) -> tuple[str, str, str] | None:
        """(digest, media type, manifest) of a tag or digest, or None."""
        status, headers, body = self._call("GET", f"/v2/{repository}/manifests/{reference}")
        if status != http.client.OK:
            return None
        return headers["docker-content-digest"], headers["content-type"], body.decode()

    def digest(self, repository: str, reference: str) -> str | None:
        status, headers, _ = self._call("HEAD", f"/v2/{repository}/manifests/{reference}")
        return headers.get("docker-content-digest") if status == http.client.OK else None

    def tags(self, repository: str) -> list[str]:
        status, _, body = self._call("GET", f"/v2/{repository}/tags/list")
        return (json.loads(body).get("tags") or []) if status == http.client.OK else []

    def delete(self, repository: str, digest: str) -> bool:
        status, _, _ = self._call("DELETE", f"/v2/{repository}/manifests/{digest}")
        return status in (http.client.ACCEPTED, http.client.NOT_FOUND)

    def _call(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            connection.request(method, path, headers={"Accept": ", ".join(MANIFEST_TYPES)})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except OSError as err:
            _log.error("registry %s does not answer: %s", self._address, err)
            return 0, {}, b""
        finally:
            connection.close()


class RehearsalImage(Image):  # type: ignore[misc]
    """An ECR image whose size is that of its layers; moto reports the size of the configuration alone."""

    def get_image_size_in_bytes(self) -> int | None:
        manifest = json.loads(self.image_manifest)
        if "layers" not in manifest:
            return None
        return sum(int(layer["size"]) for layer in manifest["layers"]) + int(manifest["config"]["size"])


class RehearsalEcr(ECRBackend):  # type: ignore[misc]
    """moto's ECR backend on top of a registry.

    Every read first looks at the registry, so that an image is described as soon as its push has returned, as on AWS.
    """

    stage: ClassVar[Stage]

    @property
    def _url_module(self) -> Any:
        return moto.ecr.urls

    @property
    def _registry(self) -> Registry | None:
        return Registry(self.stage.registry) if self.stage.registry else None

    def describe_images(self, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._look(repository_name, image_ids or ())
        found = super().describe_images(repository_name, registry_id, image_ids)
        return list(found)

    def list_images(self, repository_name: str, registry_id: Any = None, tag_status: str = "ANY") -> Any:
        self._look(repository_name, ())
        return super().list_images(repository_name, registry_id, tag_status)

    def batch_get_image(self, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._look(repository_name, image_ids or ())
        return super().batch_get_image(repository_name, registry_id, image_ids)

    def batch_delete_image(self, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._look(repository_name, image_ids or ())
        answer = super().batch_delete_image(repository_name, registry_id, image_ids)
        if repository_name in self.repositories and self._registry:
            kept = {image.get_image_digest() for image in self.repositories[repository_name].images}
            for digest in {image["imageDigest"] for image in answer["imageIds"] if "imageDigest" in image} - kept:
                self._registry.delete(repository_name, digest)
        return answer

    def _look(self, repository: str, image_ids: Iterable[dict[str, str]]) -> None:
        registry = self._registry
        if registry is None or repository not in self.repositories:
            return
        known = {
            tag: image.get_image_digest() for image in self.repositories[repository].images for tag in image.image_tags
        }
        for tag in registry.tags(repository):
            if registry.digest(repository, tag) != known.get(tag):
                self.take_push(repository, tag, tag)
        digests = {image.get_image_digest() for image in self.repositories[repository].images}
        for image_id in image_ids:
            digest = image_id.get("imageDigest")
            if digest and digest not in digests:
                self.take_push(repository, digest, None)

    def take_push(self, repository: str, reference: str, tag: str | None) -> None:
        """Enter what the registry holds under `reference`, with its true digest; nothing happens if it holds nothing."""
        found = self._registry.manifest(repository, reference) if self._registry else None
        if found is None:
            return
        digest, media_type, manifest = found
        images = self.repositories[repository].images
        if tag is None and any(image.get_image_digest() == digest for image in images):
            return
        try:
            super().put_image(repository, manifest, tag, media_type, digest)
        except (AWSError, ServiceException) as err:
            if "AlreadyExists" not in type(err).__name__ or "ImageTag" in type(err).__name__:
                fault(self.stage, f"push of `{repository}:{tag or digest}` breaks a rule of ECR: {err}")


class RehearsalEcrResponse(ECRResponse):  # type: ignore[misc]
    """moto's ECR calls with tokens that have not expired in 2015."""

    def get_authorization_token(self) -> ActionResult:
        result: Any = super().get_authorization_token().result
        for entry in result["authorizationData"]:
            entry["expiresAt"] = datetime.now(UTC) + _TOKEN_LIFETIME
        return ActionResult(result)


def take_events(stage: Stage, events: Iterable[dict[str, Any]]) -> None:
    """Enter the pushes that a registry reports by its notifications."""
    for event in events:
        target = event.get("target", {})
        if event.get("action") != "push" or target.get("mediaType") not in MANIFEST_TYPES:
            continue
        repository, tag = target["repository"], target.get("tag")
        holders = [backend for _, _, backend in ecr_backends.iter_backends() if repository in backend.repositories]
        if not holders:
            name = f"{repository}:{tag}" if tag else f"{repository}@{target['digest']}"
            fault(stage, f"push of `{name}`: ECR has no repository `{repository}` and would have refused it")
        for backend in holders:
            backend.take_push(repository, target["digest"], tag)


def fault(stage: Stage, text: str) -> None:
    _log.error("%s", text)
    stage.faults.append(text)


def mend(stage: Stage) -> None:
    """Hook the mended classes into moto: its backend table, its URL table, and the one name by which it makes images."""
    RehearsalEcr.stage = stage
    ecr_backends.backend = RehearsalEcr
    moto.ecr.models.Image = RehearsalImage
    moto.ecr.urls.url_paths = {"{0}/$": RehearsalEcrResponse.dispatch}
