"""The base that code stands on, remembered: to ask the registry costs a request, and first the hash of the base's root."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from images.base.fingerprint import fingerprint
from images.digests import write_if_possible
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.requirements_lock import contract_file, requirements_lock
from lifecycle.config.target import Target
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image import ImageRef, TaggedImage
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.base_builder import BaseBuilder


class RecordedBase:
    """`ports.BaseBuilder` that keeps on disk what another one finds or builds, with all that decides which image that is."""

    def __init__(self, builder: BaseBuilder, target: Target, registry_url: str) -> None:
        self._builder = builder
        self._target = target
        self._registry_url = registry_url

    def packages(self) -> frozenset[str]:
        return self._builder.packages()

    def runtime_modules(self) -> frozenset[str]:
        return self._builder.runtime_modules()

    def tag(self) -> str:
        return self._builder.tag()

    def find(self) -> TaggedImage | None:
        base = self._builder.find()
        return self._recorded(base) if base else None

    def build(self) -> TaggedImage:
        return self._recorded(self._builder.build())

    def required(self) -> TaggedImage:
        return self._read() or self._recorded(self._builder.required())

    def _read(self) -> TaggedImage | None:
        """None without a record of the present inputs; one that cannot be read is none, and the registry is asked."""
        try:
            known = json.loads(self._file.read_text())
            if known["inputs"] != self._inputs:
                return None
            ref = ImageRef(repository=self._target.repository, digest=parse_digest(known["digest"]))
            return TaggedImage(ref=ref, tag=str(known["tag"]))
        except Interrupted:
            raise
        except (OSError, ValueError, TypeError, KeyError, CapctlError):
            return None

    def _recorded(self, base: TaggedImage) -> TaggedImage:
        record = {"inputs": self._inputs, "tag": base.tag, "digest": base.ref.digest}
        write_if_possible(self._file, json.dumps(record).encode())
        return base

    @property
    def _file(self) -> Path:
        return self._target.folder / ".capctl" / f"base-{self._target.name}.json"

    @property
    def _inputs(self) -> dict[str, object]:
        base, contract = self._target.settings.image.base, contract_file(self._target)
        return {
            "registry": self._registry_url,
            "repository": self._target.repository,
            "lock": hashlib.sha256(requirements_lock(self._target).read_bytes()).hexdigest(),
            "from": base.from_image or "",
            "python": base.python,
            "trims": [[*base.leave_out], [*base.keep], base.share_ffmpeg],
            "contract": hashlib.sha256(contract.read_bytes()).hexdigest() if contract else "",
            "recipe": fingerprint(cache_folder()),
        }
