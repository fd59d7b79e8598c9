"""The address of the target's registry, and how to log in to it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

from images.digests import write_atomically
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.config.target import Target
from lifecycle.ports.clock import Clock

if TYPE_CHECKING:
    from lifecycle.adapters.aws.session import AwsSession

# ECR's tokens live for 12 hours; one that would expire in the middle of a push is renewed first.
_MARGIN_S = 600


class RegistryLogin:
    """ECR's token, cached until shortly before it expires; a registry with an address of its own (`registry_url`) takes none."""

    def __init__(self, target: Target, session: AwsSession, clock: Clock) -> None:
        self._target = target
        self._session = session
        self._clock = clock
        self.url = target.registry_url or f"https://{target.account}.dkr.ecr.{target.region}.amazonaws.com"

    def authorization(self) -> str:
        """The value of the Authorization header; "" for none."""
        return "" if self._target.registry_url else f"Basic {self._token()}"

    def engine_credentials(self) -> dict[str, str] | None:
        """User name and password for a container engine."""
        if self._target.registry_url:
            return None
        username, _, password = base64.b64decode(self._token()).decode().partition(":")
        return {"username": username, "password": password}

    def _token(self) -> str:
        now_s = self._clock.now().timestamp()
        if known := self._cached(now_s):
            return known
        from lifecycle.adapters.aws.errors import translated

        with translated("asking ECR for a login token"):
            answer = self._session.client("ecr").get_authorization_token()["authorizationData"][0]
        kept = {"token": answer["authorizationToken"], "expires_s": answer["expiresAt"].timestamp()}
        write_atomically(self._file, json.dumps(kept).encode())
        return str(answer["authorizationToken"])

    def _cached(self, now_s: float) -> str:
        """ "" without a token that lasts; a file that cannot be read holds none."""
        try:
            known = json.loads(self._file.read_text())
            return str(known["token"]) if known["expires_s"] - _MARGIN_S > now_s else ""
        except (OSError, ValueError, TypeError, KeyError):
            return ""

    @property
    def _file(self) -> Path:
        return (
            cache_folder()
            / "ecr"
            / f"{self._target.account}-{self._target.region}-{self._target.profile or 'default'}.json"
        )
