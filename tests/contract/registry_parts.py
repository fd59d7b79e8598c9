"""Manifests of any kind, pushed to a registry by its API."""

from __future__ import annotations

import hashlib
import http.client
import json
from typing import Any

from lifecycle.domain.digest import Digest, digest_of
from lifecycle.rehearsal.services.registry import RunningRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class Pushing:
    """One repository of a registry."""

    def __init__(self, registry: RunningRegistry, repository: str) -> None:
        self._address, self._repository = registry.address, repository

    def image(
        self, tag: str, *layers: bytes, base: Digest | None = None, subject: Digest | None = None
    ) -> tuple[Digest, dict[str, Any]]:
        """Push an image of `layers`, without a tag if that is ""; returns its digest and its manifest."""
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(b"{}", _CONFIG),
            "layers": [self._blob(layer, _LAYER) for layer in layers],
        }
        if base:
            manifest["annotations"] = {"org.opencontainers.image.base.digest": base}
        if subject:
            manifest["subject"] = {"mediaType": MANIFEST, "digest": subject, "size": 1}
        return self._put(tag, manifest), manifest

    def index(self, tag: str, *children: Digest) -> Digest:
        """Push an index that names `children`."""
        entries = [
            {
                "mediaType": MANIFEST,
                "digest": child,
                "size": len(self.pull(child)),
                "platform": {"architecture": "amd64", "os": "linux"},
            }
            for child in children
        ]
        return self._put(tag, {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def pull(self, reference: str) -> bytes:
        """The manifest, as an engine asks for it; empty where there is none."""
        status, _, body = self._call("GET", f"manifests/{reference}", Accept=f"{MANIFEST}, {INDEX}")
        return body if status == http.client.OK else b""

    def _put(self, tag: str, manifest: dict[str, Any]) -> Digest:
        body = json.dumps(manifest).encode()
        digest = digest_of(body)
        status, _, told = self._call(
            "PUT", f"manifests/{tag or digest}", body, **{"Content-Type": str(manifest["mediaType"])}
        )
        assert status == http.client.CREATED, told
        return digest

    def _blob(self, content: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _, location, _ = self._call("POST", "blobs/uploads/")
        path = location.removeprefix(f"http://{self._address}").removeprefix(f"/v2/{self._repository}/")
        status, _, told = self._call("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", content)
        assert status == http.client.CREATED, told
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=5)
        try:
            connection.request(method, f"/v2/{self._repository}/{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Location") or "", answer.read()
        finally:
            connection.close()
