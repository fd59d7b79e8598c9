"""The code of an image, without an engine: its run configuration and its top layer, read from the registry on loopback."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.media_types import MANIFEST_TYPES
from lifecycle.rehearsal.emulator.containers import CannotPull

APP_FOLDER = "app"
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCode:
    """`run` is the image's run configuration (`Env`, `Entrypoint`, `Cmd`, `WorkingDir`, `User`); `layer` its top layer."""

    run: dict[str, Any]
    layer: bytes


def read_code(image: str) -> ImageCode:
    """Read `host:port/repository@digest` (or `:tag`), each object checked against its digest. Raises: CannotPull."""
    address, _, rest = image.partition("/")
    repository, separator, reference = rest.partition("@")
    if not separator:
        repository, _, reference = rest.rpartition(":")
    if not address.startswith("127.0.0.1:") or not repository:
        message = f"CannotPullContainerError: `{image}` is not in the registry on loopback, and there is no engine"
        raise CannotPull(message)
    manifest = json.loads(_read(address, f"/v2/{repository}/manifests/{reference}", reference))
    if not manifest.get("layers"):
        message = f"CannotPullContainerError: `{image}` is not the manifest of one image"
        raise CannotPull(message)
    config, layer = (
        _read(address, f"/v2/{repository}/blobs/{item['digest']}", item["digest"])
        for item in (manifest["config"], manifest["layers"][-1])
    )
    return ImageCode(run=json.loads(config).get("config") or {}, layer=layer)


def unpack(code: ImageCode, root: Path) -> None:
    """Write what the layer holds below `/app` to `root`; links may not lead out of it."""
    with tarfile.open(fileobj=io.BytesIO(code.layer)) as tar:
        members = [member for member in tar if member.name.split("/")[0] == APP_FOLDER]
        tar.extractall(root, members=members, filter="data")


def _read(address: str, path: str, reference: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Accept": ", ".join(MANIFEST_TYPES)})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as err:
        message = f"CannotPullContainerError: the registry {address} does not answer: {err}"
        raise CannotPull(message) from err
    finally:
        connection.close()
    if answer.status != http.client.OK:
        message = f"CannotPullContainerError: {path}: the registry answers {answer.status}"
        raise CannotPull(message)
    if ":" in reference and reference != (found := f"sha256:{hashlib.sha256(body).hexdigest()}"):
        message = f"CannotPullContainerError: {path} has digest {found}"
        raise CannotPull(message)
    return body
