"""A base image where none can be built: the names of this interpreter's packages, and a run configuration, without their files.

The code image stands on it as on a real base. Only the emulator's processes can run it, for they bring the packages themselves.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import re
import tarfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.container_images import ContainerImages
from lifecycle.config.load import load_target
from lifecycle.domain.digest import Digest
from lifecycle.errors import CapctlError
from lifecycle.ports.images import TaggedImage
from lifecycle.ports.ui import Ui

TAG = "base-stand-in"
_TYPE = "application/vnd.oci.image.{}+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_RUN = {
    "Env": [
        "PYTHONPATH=/app:/opt/site",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "LANG=C.UTF-8",
        "HOME=/tmp",
    ],
    "Entrypoint": ["python3"],
    "WorkingDir": "/app",
    "User": "65532:65532",
    "Labels": {"dev.capctl.stand-in": "no engine"},
}


def push_standin_base(configuration: Path, environment: dict[str, str], ui: Ui) -> TaggedImage:
    """Push the image to the registry of the configured target, and record it as its base, as `image base` does."""
    target = load_target(configuration, None, environment=environment)
    images = ContainerImages(target, AwsSession(target), SystemClock(), ui)
    lock = target.path(target.settings.image.base.requirements)
    tar = _metadata_layer(_locked_names(lock.read_text()))
    layer = gzip.compress(tar, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": _RUN,
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _TYPE.format("manifest.v1"),
        "config": {"mediaType": _TYPE.format("config.v1"), "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": _LAYER_TYPE, "digest": _digest(layer), "size": len(layer)}],
    }
    body = json.dumps(manifest).encode()
    registry = _Registry(str(target.registry_url), target.repository_name)
    for blob in (config, layer):
        registry.push_blob(blob)
    registry.call("PUT", f"manifests/{TAG}", body, media_type=manifest["mediaType"])
    return images.remember_base(TAG, _digest(body))


class _Registry:
    """The three calls of a push to a registry on loopback."""

    def __init__(self, url: str, repository: str) -> None:
        self._address = urlsplit(url).netloc
        self._repository = repository

    def push_blob(self, content: bytes) -> None:
        location = urlsplit(self.call("POST", "blobs/uploads/"))
        query = f"{location.query}&" if location.query else ""
        self.call("PUT", f"{location.path}?{query}digest={_digest(content)}", content)

    def call(
        self, method: str, path: str, body: bytes = b"", *, media_type: object = "application/octet-stream"
    ) -> str:
        """Returns: where the answer points."""
        url = path if path.startswith("/") else f"/v2/{self._repository}/{path}"
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, url, body, {"Content-Type": str(media_type)})
            answer = connection.getresponse()
            answer.read()
        except OSError as error:
            raise CapctlError("rehearsal-part-failed", f"The registry does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise CapctlError("rehearsal-part-failed", f"The registry answers {answer.status} to {method} {url}")
        return answer.getheader("Location") or ""


def _metadata_layer(names: frozenset[str]) -> bytes:
    """A tar with the METADATA of each named package as this interpreter has it, where a real base has the package."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, text in sorted(_metadata(names).items()):
            member = tarfile.TarInfo(f"opt/site/{folder}/METADATA")
            member.size, member.mode = len(text), 0o644
            tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


def _metadata(names: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for distribution in distributions():
        name = _normalised(distribution.metadata["Name"] or "")
        text = _text(distribution)
        if name in names and text:
            found[f"{name.replace('-', '_')}-{distribution.version}.dist-info"] = text.encode()
    return found


def _text(distribution: Distribution) -> str:
    return distribution.read_text("METADATA") or ""


def _locked_names(lock: str) -> frozenset[str]:
    names = re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==", lock, re.MULTILINE)
    return frozenset(_normalised(name) for name in names)


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _digest(content: bytes) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")
