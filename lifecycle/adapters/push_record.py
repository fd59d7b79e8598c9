"""Which image was pushed last from here: a repository does not tell which of its images is the newest."""

from __future__ import annotations

import json
from contextlib import suppress

from images.digests import write_atomically
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.errors import CapctlError


class PushRecord:
    """The digest of the last push from the folder of capctl.yaml, kept in its `.capctl/`; it counts for one registry and repository."""

    def __init__(self, target: Target, registry_url: str) -> None:
        self._file = target.folder / ".capctl" / f"pushed-{target.name}.json"
        self._place = {"registry": registry_url, "repository": target.repository}

    def read(self) -> Digest | None:
        """None without a record of this repository that can be read."""
        try:
            known = json.loads(self._file.read_text())
            return parse_digest(known.pop("digest")) if known | self._place == known else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, CapctlError):
            return None

    def write(self, digest: Digest) -> None:
        """Remember `digest`. The image is pushed: a record that cannot be written takes nothing from that."""
        if self.read() != digest:
            with suppress(OSError):
                write_atomically(self._file, json.dumps({**self._place, "digest": digest}).encode())
