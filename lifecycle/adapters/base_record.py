"""The base that code stands on, remembered: to ask the registry costs a request, and first the hash of the base's root."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from images.digests import write_atomically
from lifecycle.adapters.requirements_lock import requirements_lock
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.domain.image import TaggedImage
from lifecycle.errors import CapctlError
from lifecycle.ports.base_builder import BaseBuilder


class RecordedBase:
    """`ports.BaseBuilder` that keeps on disk what another one finds or builds, with the lock, image and registry that it is true of."""

    def __init__(self, builder: BaseBuilder, target: Target, registry_url: str) -> None:
        self._builder = builder
        self._target = target
        self._registry_url = registry_url

    def packages(self) -> frozenset[str]:
        return self._builder.packages()

    def tag(self) -> str:
        return self._builder.tag()

    def find(self) -> TaggedImage | None:
        base = self._builder.find()
        return self._recorded(base) if base else None

    def build(self) -> TaggedImage:
        return self._recorded(self._builder.build())

    def digest(self) -> Digest:
        """The base of the present lock, from the record if it is there. Raises `CapctlError("base-missing")`."""
        if known := self._read():
            return known
        base = self.find()
        if base is None:
            raise CapctlError(
                "base-missing",
                f"The registry does not have the base image `{self.tag()}`",
                hint="Run `capctl image base`",
            )
        return base.ref.digest

    def _read(self) -> Digest | None:
        """None without a record of the present lock; one that cannot be read is none, and the registry is asked."""
        try:
            known = json.loads(self._file.read_text())
            return parse_digest(known["digest"]) if known["inputs"] == self._inputs else None
        except (OSError, ValueError, TypeError, KeyError, CapctlError):
            return None

    def _recorded(self, base: TaggedImage) -> TaggedImage:
        record = {"inputs": self._inputs, "tag": base.tag, "digest": base.ref.digest}
        write_atomically(self._file, json.dumps(record).encode())
        return base

    @property
    def _file(self) -> Path:
        return self._target.folder / ".capctl" / f"base-{self._target.name}.json"

    @property
    def _inputs(self) -> dict[str, str]:
        return {
            "registry": self._registry_url,
            "lock": hashlib.sha256(requirements_lock(self._target).read_bytes()).hexdigest(),
            "from": self._target.settings.image.base.from_image or "",
        }
