"""The address of the target's registry, and how to log in to it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from images.digests import write_if_possible
from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.config.target import Target
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.clock import Clock

if TYPE_CHECKING:
    from lifecycle.adapters.aws.session import AwsSession

# ECR's tokens live for 12 hours; one that would expire in the middle of a push is renewed first.
_MARGIN_S = 600


class RegistryLogin:
    """ECR's token, cached until shortly before it expires; a registry with an address of its own (`registry_url`) takes none.

    Safe to share between threads: one asks for a token, the others wait for it.
    """

    def __init__(self, target: Target, session: AwsSession, clock: Clock) -> None:
        self._target = target
        self._session = session
        self._clock = clock
        self._held: dict[str, object] = {}
        self._refused: set[str] = set()
        self._lock = Lock()
        self.url = target.registry_url or f"https://{target.ecr_host}"

    def authorization(self) -> str:
        """The value of the Authorization header; "" for none."""
        return "" if self._target.registry_url else f"Basic {self._token()}"

    def forget(self, authorization: str) -> None:
        """Never give this value again, which the registry calls expired: it knows better than the date in the cache."""
        with self._lock:
            self._refused.add(authorization.removeprefix("Basic "))

    def engine_credentials(self) -> dict[str, str] | None:
        """User name and password for a container engine."""
        if self._target.registry_url:
            return None
        username, _, password = base64.b64decode(self._token()).decode().partition(":")
        return {"username": username, "password": password}

    def lacks_repository(self) -> bool:
        """Whether ECR says that the target's repository does not exist; False where it cannot be asked, or another registry is meant."""
        if self._target.registry_url:
            return False
        from botocore.exceptions import ClientError

        from lifecycle.adapters.aws.errors import error_code, translated

        try:
            with translated("asking ECR for the repository"):
                ecr = self._session.client("ecr")
                try:
                    ecr.describe_repositories(repositoryNames=[self._target.repository_name])
                except ClientError as error:
                    return error_code(error) == "RepositoryNotFoundException"
        except Interrupted:
            raise
        except CapctlError:
            return False
        return False

    def _token(self) -> str:
        now_s = self._clock.now().timestamp()
        with self._lock:
            for known in (self._held, self._cached()):
                if token := self._lasting(known, now_s):
                    self._held = known
                    return token
            self._held = self._asked()
            # Without room for it, it lasts as long as this command.
            write_if_possible(self._file, json.dumps(self._held).encode())
            return str(self._held["token"])

    def _asked(self) -> dict[str, object]:
        from lifecycle.adapters.aws.errors import translated

        with translated("asking ECR for a login token"):
            answer = self._session.client("ecr").get_authorization_token()["authorizationData"][0]
        return {"token": str(answer["authorizationToken"]), "expires_s": answer["expiresAt"].timestamp()}

    def _lasting(self, known: dict[str, object], now_s: float) -> str:
        """ "" without a token that lasts."""
        token, expires_s = known.get("token"), known.get("expires_s")
        if not isinstance(token, str) or not isinstance(expires_s, int | float) or token in self._refused:
            return ""
        return token if expires_s - _MARGIN_S > now_s else ""

    def _cached(self) -> dict[str, object]:
        """Empty without a file that can be read."""
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    @property
    def _file(self) -> Path:
        return (
            cache_folder()
            / "ecr"
            / f"{self._target.account}-{self._target.region}-{self._target.profile or 'default'}.json"
        )
