"""To which account the credentials of the last command belong: an access key belongs to one, for ever."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

from images.digests import write_atomically
from lifecycle.config.target import Target


class KnownAccount:
    """What STS said, kept in the `.capctl/` beside capctl.yaml: one request less for each command, also in an emergency."""

    def __init__(self, target: Target, access_key_id: str) -> None:
        self._file = target.folder / ".capctl" / f"account-{target.name}.json"
        # Whose key it is only AWS itself says for certain: an emulator takes any.
        asked = f"{target.endpoint_url or 'aws'} {access_key_id}"
        self._key = hashlib.sha256(asked.encode()).hexdigest()

    def read(self) -> str | None:
        """The account; None unless these very credentials were asked about."""
        try:
            known = json.loads(self._file.read_text())
            return str(known["account"]) if known["key"] == self._key else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, account: str) -> None:
        """Remember the account, once a command that changed something has made the folder. What cannot be written costs a request."""
        with suppress(OSError):
            if self._file.parent.is_dir():
                write_atomically(self._file, json.dumps({"key": self._key, "account": account}).encode())
