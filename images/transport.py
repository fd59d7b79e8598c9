"""HTTP to one registry: authentication, attempts, counting, and refusals as typed errors."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase

from images.errors import (
    BlobMissing,
    DigestMismatch,
    ImageError,
    RegistryDenied,
    RegistryRefused,
    RegistryThrottled,
    RegistryUnreachable,
    RepositoryMissing,
    TagImmutable,
)

# Returns the value of the `Authorization` header; called for each request, so it may renew an expiring token.
Credentials = Callable[[], str]
T = TypeVar("T")

BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 20.0
RETRY_AFTER_CAP_S = 60.0
TIMEOUT_S = (5.0, 60.0)

_WORTH_ANOTHER_ATTEMPT = frozenset({408, 429, 500, 502, 503, 504})


class AttemptFailed(Exception):
    """One attempt failed in a way that another may mend; `wait_s` is what the registry asked for."""

    def __init__(self, failure: ImageError, *, wait_s: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often to try and how long to wait in between: full jitter, never less than the registry asked for."""

    count: int = 5
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def run(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it returns. Raises: the failure of the last attempt."""
        for number in range(1, self.count + 1):
            try:
                return attempt()
            except AttemptFailed as failed:
                if number == self.count:
                    raise failed.failure from failed
                bound_s = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**number)
                self.sleep(max(failed.wait_s, self.rng.uniform(0, bound_s)))
        message = f"`count` must be at least 1, got `{self.count}`"
        raise ValueError(message)


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with port, the scope within which credentials may travel."""
    pieces = urlsplit(url)
    return pieces.scheme, pieces.netloc


class _OwnOriginAuth(AuthBase):
    """Sends credentials to the registry's own origin only. Its presence also keeps netrc out of the requests."""

    def __init__(self, credentials: Credentials | None, origin: tuple[str, str]) -> None:
        self._credentials = credentials
        self._origin = origin

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._credentials is not None and origin_of(request.url or "") == self._origin:
            request.headers["Authorization"] = self._credentials()
        return request


class Transport:
    """Sends single requests; owns one connection pool per thread and counts what is sent.

    `requests_sent` counts every request on the wire, redirects and repeated attempts included; `bytes_sent` counts
    request bodies.
    """

    def __init__(self, base_url: str, *, credentials: Credentials | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.requests_sent = 0
        self.bytes_sent = 0
        self._auth = _OwnOriginAuth(credentials, origin_of(self.base_url))
        self._lock = threading.Lock()
        self._local = threading.local()

    def send(
        self,
        method: str,
        url: str,
        *,
        expected: frozenset[int],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        stream: bool = False,
    ) -> requests.Response:
        """One attempt. `url` is absolute or relative to the registry.

        Returns: the answer, if its status is in `expected`.
        Raises: AttemptFailed, where another attempt may succeed; an ImageError, where none will.
        """
        absolute = urljoin(self.base_url + "/", url)
        with self._lock:
            self.requests_sent += 1
            self.bytes_sent += len(body)
        try:
            answer = self._session().request(
                method, absolute, headers=headers, data=body, auth=self._auth, timeout=TIMEOUT_S, stream=stream
            )
        except requests.RequestException as err:
            raise AttemptFailed(_unreachable(self.base_url, err)) from err
        with self._lock:
            self.requests_sent += len(answer.history)
        if answer.status_code in expected:
            return answer
        failure = _refusal(method, absolute, answer)
        if answer.status_code in _WORTH_ANOTHER_ATTEMPT:
            raise AttemptFailed(failure, wait_s=_retry_after_s(answer))
        raise failure

    def close(self) -> None:
        """Close the pool of the calling thread."""
        self._session().close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        return session


def _retry_after_s(answer: requests.Response) -> float:
    try:
        return min(RETRY_AFTER_CAP_S, max(0.0, float(answer.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0


def _unreachable(base_url: str, err: Exception) -> RegistryUnreachable:
    # ECR cuts the connection, without an answer, when the repository of an upload does not exist.
    return RegistryUnreachable(
        f"The registry at `{base_url}` does not answer: {type(err).__name__}",
        hint="Check the address and the network, and that the repository exists, then run the command again",
    )


def api_errors(answer: requests.Response) -> list[dict[str, object]]:
    """The `errors` list of a registry answer; empty when the body is something else."""
    try:
        errors = json.loads(answer.content)["errors"]
    except (ValueError, KeyError, TypeError):
        return []
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _refusal(method: str, url: str, answer: requests.Response) -> ImageError:
    errors = api_errors(answer)
    codes = {str(error.get("code", "")) for error in errors}
    reason = "; ".join(str(error.get("message", "")) for error in errors if error.get("message"))
    said = f"`{answer.status_code}` to {method} `{urlsplit(url).path}`" + (f": {reason}" if reason else "")
    if answer.status_code == 429 or "TOOMANYREQUESTS" in codes:
        return RegistryThrottled(f"The registry answers {said}", hint="Wait a minute, then run the command again")
    if answer.status_code in (401, 403):
        expired = "expired" in answer.text
        hint = "Log in again: the token has expired" if expired else "Check the credentials and their permissions"
        return RegistryDenied(f"The registry answers {said}", hint=hint)
    if "NAME_UNKNOWN" in codes:
        return RepositoryMissing(f"The registry answers {said}", hint="Create the repository first")
    if codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}:
        digests = tuple(sorted({digest for error in errors for digest in _digests_in(error.get("detail"))}))
        hint = "Push the base image to this repository again"
        return BlobMissing(f"The registry answers {said}", hint=hint, digests=digests)
    if "DIGEST_INVALID" in codes:
        return DigestMismatch(f"The registry answers {said}", hint="Run the command again; the upload was damaged")
    if "TAG_INVALID" in codes or "immutable" in reason:
        hint = "Use another tag: a tag of an immutable repository never moves"
        return TagImmutable(f"The registry answers {said}", hint=hint)
    if answer.status_code >= 500:
        return RegistryUnreachable(f"The registry answers {said}", hint="Run the command again later")
    return RegistryRefused(f"The registry answers {said}", hint="Check the address and the name of the repository")


def _digests_in(detail: object) -> list[str]:
    if isinstance(detail, str):
        return [detail] if detail.startswith("sha256:") else []
    if isinstance(detail, dict):
        return [digest for value in detail.values() for digest in _digests_in(value)]
    return []
