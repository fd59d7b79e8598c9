"""Which image was pushed last from here: a repository does not tell which of its images is the newest."""

from __future__ import annotations

import json
from contextlib import suppress

from images.digests import write_atomically
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest, parse_digest
from lifecycle.errors import CapctlError, Interrupted


class PushRecord:
    """The last push from the folder of capctl.yaml, kept in its `.capctl/`; it counts for one registry and repository."""

    def __init__(self, target: Target, registry_url: str) -> None:
        self._file = target.folder / ".capctl" / f"pushed-{target.name}.json"
        self._place = {"registry": registry_url, "repository": target.repository}

    def read(self) -> Digest | None:
        """The digest; None without a record of this repository that can be read."""
        known = self._known()
        return known[1] if known else None

    def read_tag(self) -> str | None:
        """The tag; None as for `read`."""
        known = self._known()
        return known[0] if known else None

    def write(self, tag: str, digest: Digest) -> None:
        """Remember the image. It is pushed: a record that cannot be written takes nothing from that."""
        if self._known() != (tag, digest):
            with suppress(OSError):
                write_atomically(self._file, json.dumps({**self._place, "tag": tag, "digest": digest}).encode())

    def _known(self) -> tuple[str, Digest] | None:
        try:
            known = json.loads(self._file.read_text())
            tag, digest = str(known.pop("tag")), parse_digest(known.pop("digest"))
            return (tag, digest) if known | self._place == known else None
        except Interrupted:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError, CapctlError):
            return None
