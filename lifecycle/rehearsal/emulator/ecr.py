"""ECR: the control plane that tells what a real registry on loopback holds, with the digests that were pushed."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import moto.ecr.models
import moto.ecr.urls
from moto.core.exceptions import AWSError, ServiceException
from moto.core.responses import ActionResult
from moto.ecr.exceptions import ImageAlreadyExistsException
from moto.ecr.models import Image, ecr_backends

from images.media_types import MANIFEST_TYPES
from lifecycle.rehearsal.emulator.ecr_policies import LifecyclePolicies, PolicyCalls
from lifecycle.rehearsal.emulator.stage import Stage

_log = logging.getLogger(__name__)
_TOKEN_LIFETIME = timedelta(hours=12)
# By which the registry's notifications tell the emulator's own looks from pulls.
_AGENT = "capctl-emulator"


class Registry:
    """The data plane: the few calls of the registry API that ECR's answers need."""

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

    def put(self, repository: str, reference: str, manifest: str, media_type: str) -> None:
        self._call("PUT", f"/v2/{repository}/manifests/{reference}", manifest.encode(), media_type)

    def delete(self, repository: str, digest: str) -> bool:
        status, _, _ = self._call("DELETE", f"/v2/{repository}/manifests/{digest}")
        return status in (http.client.ACCEPTED, http.client.NOT_FOUND)

    def _call(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        headers = {"Accept": ", ".join(MANIFEST_TYPES), "User-Agent": _AGENT} | (
            {"Content-Type": media_type} if media_type else {}
        )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except OSError as err:
            _log.error("registry %s does not answer: %s", self._address, err)
            return 0, {}, b""
        finally:
            connection.close()


class RehearsalImage(Image):  # type: ignore[misc]
    """An ECR image whose size is that of its layers, and which knows its last pull; moto reports the size of the configuration alone."""

    last_recorded_pull_time: datetime | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # moto cuts it to the second, in which two pushes have no order.
        self.image_pushed_at = datetime.now(UTC).timestamp()

    def get_image_size_in_bytes(self) -> int | None:
        manifest = json.loads(self.image_manifest)
        if "layers" not in manifest:
            return None
        return sum(int(layer["size"]) for layer in manifest["layers"]) + int(manifest["config"]["size"])


class RehearsalEcr(LifecyclePolicies):
    """moto's ECR backend on top of a registry.

    Every read first looks at the registry, so that an image is described as soon as its push has returned, as on AWS.
    """

    stage: ClassVar[Stage]
    _entering = threading.RLock()

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
        answer = super().batch_get_image(repository_name, registry_id, image_ids)
        for image in answer["images"]:
            image.last_recorded_pull_time = datetime.now(UTC)
        return answer

    def batch_delete_image(self, repository_name: str, registry_id: Any = None, image_ids: Any = None) -> Any:
        self._look(repository_name, image_ids or ())
        wanted, failures = self._removable(repository_name, image_ids or [])
        meant = {image.get_image_digest() for image in self._meant(repository_name, wanted)}
        answer: dict[str, Any] = {"imageIds": [], "failures": []}
        if wanted or not failures:
            answer = super().batch_delete_image(repository_name, registry_id, wanted)
        answer["failures"] += failures
        if registry := self._registry:
            for digest in meant:
                # The registry cannot drop one tag, so the manifest goes with all its tags and comes back under those kept.
                registry.delete(repository_name, digest)
                image = self._image(repository_name, digest)
                for reference in (image.image_tags or [digest]) if image else ():
                    manifest, media_type = image.image_manifest, image.image_manifest_media_type
                    registry.put(repository_name, reference, manifest, media_type)
        return answer

    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str | None,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Any:
        digest = digest or f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        if self._registry is None or repository_name not in self.repositories:
            return super().put_image(repository_name, image_manifest, image_tag, image_manifest_mediatype, digest)
        self._look(repository_name, ({"imageDigest": digest},))
        image = self._image(repository_name, digest)
        if image is not None and (image_tag is None or image_tag in image.image_tags):
            raise ImageAlreadyExistsException(repository_name, self.account_id, digest, image_tag)
        media_type = image_manifest_mediatype or json.loads(image_manifest)["mediaType"]
        self._registry.put(repository_name, image_tag or digest, image_manifest, media_type)
        return self._enter(repository_name, digest, media_type, image_manifest, image_tag)

    def _image(self, repository: str, digest: str) -> Any:
        images = self.repositories[repository].images
        return next((image for image in images if image.get_image_digest() == digest), None)

    def _meant(self, repository: str, image_ids: Iterable[dict[str, str]]) -> list[Any]:
        images = self.repositories[repository].images if repository in self.repositories else []
        digests = {one.get("imageDigest") for one in image_ids}
        tags = {one.get("imageTag") for one in image_ids if "imageDigest" not in one}
        return [image for image in images if image.get_image_digest() in digests or tags & {*image.image_tags}]

    def _removable(
        self, repository: str, image_ids: list[dict[str, str]]
    ) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
        """Without the images that an index names which stays, and what ECR says of these."""
        going = {image.get_image_digest() for image in self._meant(repository, image_ids)}
        images = self.repositories[repository].images if repository in self.repositories else []
        named = {
            str(child["digest"])
            for image in images
            if image.get_image_digest() not in going
            for child in json.loads(image.image_manifest).get("manifests", ())
        }
        refused = [one for one in image_ids if one.get("imageDigest") in named]
        return [one for one in image_ids if one not in refused], [
            {
                "imageId": one,
                "failureCode": "ImageReferencedByManifestList",
                "failureReason": "Requested image referenced by manifest list",
            }
            for one in refused
        ]

    def take_pull(self, repository: str, digest: str) -> None:
        """Remember that somebody pulled the image."""
        if image := self._image(repository, digest):
            image.last_recorded_pull_time = datetime.now(UTC)

    def _look(self, repository: str, image_ids: Iterable[dict[str, str]]) -> None:
        """Enter what the registry holds under each of its tags, and under the digests that are asked for."""
        registry = self._registry
        if registry is None or repository not in self.repositories:
            return
        known = {
            tag: image.get_image_digest() for image in self.repositories[repository].images for tag in image.image_tags
        }
        for tag in registry.tags(repository):
            if registry.digest(repository, tag) != known.get(tag):
                self.take_push(repository, tag, tag)
        for image_id in image_ids:
            if (digest := image_id.get("imageDigest")) and self._image(repository, digest) is None:
                self.take_push(repository, digest, None)

    def take_push(self, repository: str, reference: str, tag: str | None) -> None:
        """Enter what the registry holds under `reference`, with its true digest; nothing happens if it holds nothing."""
        found = self._registry.manifest(repository, reference) if self._registry else None
        if found is None:
            return
        digest, media_type, manifest = found
        try:
            self._enter(repository, digest, media_type, manifest, tag)
        except (AWSError, ServiceException) as err:
            fault(self.stage, f"push of `{repository}:{tag or digest}` breaks a rule of ECR: {err}")

    def _enter(self, repository: str, digest: str, media_type: str, manifest: str, tag: str | None) -> Any:
        with self._entering:
            image = self._image(repository, digest)
            if image is not None and (tag is None or tag in image.image_tags):
                return image
            if tag is not None:
                # Raises where tags are immutable. A tag that moves leaves an untagged image behind; moto would delete it.
                for holder in self._resolve_image_tag_mutability(self.repositories[repository], tag):
                    holder.remove_tag(tag)
            if image is None:
                image = RehearsalImage(self.account_id, tag, manifest, repository, media_type, digest)
                self.repositories[repository].images.append(image)
            elif tag is not None:
                image.update_tag(tag)
            return image


class RehearsalEcrResponse(PolicyCalls):
    """moto's ECR calls with tokens that have not expired in 2015."""

    def get_authorization_token(self) -> ActionResult:
        result: Any = super().get_authorization_token().result
        for entry in result["authorizationData"]:
            entry["expiresAt"] = datetime.now(UTC) + _TOKEN_LIFETIME
        return ActionResult(result)


def take_events(stage: Stage, events: Iterable[dict[str, Any]]) -> None:
    """Enter the pushes and pulls that a registry reports by its notifications."""
    for event in events:
        target = event.get("target", {})
        if event.get("action") not in ("push", "pull") or target.get("mediaType") not in MANIFEST_TYPES:
            continue
        repository, tag = target["repository"], target.get("tag")
        holders = [backend for _, _, backend in ecr_backends.iter_backends() if repository in backend.repositories]
        if event["action"] == "pull":
            request = event.get("request", {})
            if request.get("method") == "GET" and request.get("useragent") != _AGENT:
                for backend in holders:
                    backend.take_pull(repository, target["digest"])
            continue
        if not holders:
            name = f"{repository}:{tag}" if tag else f"{repository}@{target['digest']}"
            fault(stage, f"push of `{name}`: ECR has no repository `{repository}` and would have refused it")
        for backend in holders:
            backend.take_push(repository, target["digest"], tag)


def fault(stage: Stage, text: str) -> None:
    if text not in stage.faults:
        _log.error("%s", text)
        stage.faults.append(text)


def mend(stage: Stage) -> None:
    """Hook the mended classes into moto: its backend table, its URL table, and the one name by which it makes images."""
    RehearsalEcr.stage = stage
    ecr_backends.backend = RehearsalEcr
    moto.ecr.models.Image = RehearsalImage
    moto.ecr.urls.url_paths = {"{0}/$": RehearsalEcrResponse.dispatch}
