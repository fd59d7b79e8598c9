"""A base image where none can be built: the names of this interpreter's packages, and a run configuration, without their files.

The code image stands on it as on a real base. Only the emulator's processes can run it, for they bring the packages themselves.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from images.checks import locked_packages
from images.media_types import OCI
from images.names import normalised
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.base_record import RecordedBase
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.adapters.image_errors import image_errors_translated
from lifecycle.adapters.requirements_lock import requirements_lock
from lifecycle.config.load import load_target
from lifecycle.config.target import Target
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import TaggedImage

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


class StandInBase:
    """`ports.BaseBuilder` without an engine."""

    def __init__(self, target: Target, registry: ContainerRegistry) -> None:
        self._target = target
        self._registry = registry

    def packages(self) -> frozenset[str]:
        return locked_packages(requirements_lock(self._target).read_text())

    def runtime_modules(self) -> frozenset[str]:
        return frozenset()

    def tag(self) -> str:
        return "base-stand-in"

    def find(self) -> TaggedImage | None:
        ref = self._registry.find(self.tag())
        return TaggedImage(ref=ref, tag=self.tag()) if ref else None

    def required(self) -> TaggedImage:
        return self.build()

    def build(self) -> TaggedImage:
        tar = _packages_layer(frozenset(package.partition("==")[0] for package in self.packages()))
        layer = gzip.compress(tar, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": _RUN,
                "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI.manifest,
            "config": {"mediaType": OCI.config, "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": OCI.layer, "digest": digest_of(layer), "size": len(layer)}],
        }
        client = self._registry.client
        with image_errors_translated():
            for blob in (config, layer):
                client.upload_blob(blob)
            digest = client.put_manifest(self.tag(), json.dumps(manifest).encode(), OCI.manifest)
        return TaggedImage(ref=self._registry.ref(digest), tag=self.tag())


def push_standin_base(configuration: Path, environment: dict[str, str]) -> TaggedImage:
    """Push the image to the registry of the configured target, and record it as its base, as `image base` does."""
    target = load_target(configuration, None, environment=environment)
    registry = ContainerRegistry(target, RegistryLogin(target, AwsSession(target), SystemClock()))
    return RecordedBase(StandInBase(target, registry), target, registry.login.url).build()


def _packages_layer(names: frozenset[str]) -> bytes:
    """A tar with the METADATA of each named package, and links to what it installed, as this interpreter has them."""
    found: dict[str, Path | bytes] = {}
    for distribution in distributions():
        name, text = normalised(distribution.metadata["Name"] or ""), _text(distribution)
        if name in names and text:
            folder = f"{name.replace('-', '_')}-{distribution.version}.dist-info"
            found |= _links(distribution) | {f"{folder}/METADATA": text.encode()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in sorted(found.items()):
            member = tarfile.TarInfo(f"opt/site/{path}")
            if isinstance(content, Path):
                member.type, member.mode, member.linkname = tarfile.SYMTYPE, 0o777, str(content)
                tar.addfile(member)
            else:
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _links(distribution: Distribution) -> dict[str, Path | bytes]:
    """Where the modules of a package are, by their names, so that the imports of the code are seen to be met."""
    tops = {file.parts[0] for file in distribution.files or () if file.suffix in (".py", ".so")}
    return {top: Path(str(distribution.locate_file(top))) for top in tops if top != ".."}


def _text(distribution: Distribution) -> str:
    return distribution.read_text("METADATA") or ""
