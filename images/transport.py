"""HTTP to one registry: authentication, attempts, counting, and refusals as typed errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from images.connections import Answer, Connections
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
from images.wire import BadAnswer

# Returns the value of the `Authorization` header, "" for none; called for each request, so it may renew an expiring token.
Credentials = Callable[[], str]
T = TypeVar("T")

BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 20.0
RETRY_AFTER_CAP_S = 60.0
MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WORTH_ANOTHER_ATTEMPT = frozenset({408, 429, 500, 502, 503, 504})


class AttemptFailed(Exception):
    """One attempt failed in a way that another may mend; `wait_s` is what the registry asked for."""

    def __init__(self, failure: ImageError, *, wait_s: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.wait_s = wait_s


def _full_jitter(bound_s: float) -> float:
    from random import uniform  # which only a failure needs

    return uniform(0, bound_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often to try and how long to wait in between: never less than the registry asked for."""

    count: int = 5
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = _full_jitter

    def run(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it returns. Raises: the failure of the last attempt."""
        for number in range(1, self.count + 1):
            try:
                return attempt()
            except AttemptFailed as failed:
                if number == self.count:
                    raise failed.failure from failed
                bound_s = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**number)
                self.sleep(max(failed.wait_s, self.jitter(bound_s)))
        message = f"`count` must be at least 1, got `{self.count}`"
        raise ValueError(message)


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with port, the scope within which credentials may travel."""
    pieces = urlsplit(url)
    return pieces.scheme, pieces.netloc


class Transport:
    """Sends single requests; owns the connections and counts what is sent. Safe to share between threads.

    `requests_sent` counts every request on the wire, redirects and repeated attempts included; `bytes_sent` counts
    request bodies. Credentials go to the registry's own origin only.
    """

    def __init__(self, base_url: str, *, credentials: Credentials | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.requests_sent = 0
        self.bytes_sent = 0
        self._credentials = credentials
        self._connections = Connections()
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        *,
        expected: frozenset[int],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        stream: bool = False,
    ) -> Answer:
        """One attempt. `url` is absolute or relative to the registry.

        Returns: the answer, if its status is in `expected`; loaded, but with `stream`.
        Raises: AttemptFailed, where another attempt may succeed; an ImageError, where none will.
        """
        absolute = urljoin(self.base_url + "/", url)
        answer = self._exchange(method, absolute, headers or {}, body)
        for _ in range(MAX_REDIRECTS):
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD") or not location:
                break
            with self._answering():
                answer.load()
                absolute = urljoin(answer.url, location)
            answer = self._exchange(method, absolute, headers or {}, body)
        if not (stream and answer.status in expected):
            with self._answering():
                answer.load()
        if answer.status in expected:
            return answer
        failure = _refusal(method, absolute, answer)
        if answer.status in _WORTH_ANOTHER_ATTEMPT:
            raise AttemptFailed(failure, wait_s=_retry_after_s(answer))
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        headers = {**headers, "User-Agent": "capctl", **self._authorization(url)}
        with self._lock:
            self.requests_sent += 1
            self.bytes_sent += len(body)
        with self._answering():
            return self._connections.exchange(method, url, headers=headers, body=body)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, BadAnswer, ValueError) as err:  # the last for an address that is none
            raise AttemptFailed(_unreachable(self.base_url, err)) from err

    def _authorization(self, url: str) -> dict[str, str]:
        if self._credentials is None or origin_of(url) != origin_of(self.base_url):
            return {}
        login = self._credentials()
        return {"Authorization": login} if login else {}


def _retry_after_s(answer: Answer) -> float:
    try:
        return min(RETRY_AFTER_CAP_S, max(0.0, float(answer.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0


def _unreachable(base_url: str, err: Exception) -> RegistryUnreachable:
    # ECR cuts the connection, without an answer, when the repository of an upload does not exist.
    reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return RegistryUnreachable(
        f"The registry at `{base_url}` does not answer: {reason}",
        hint="Check the address and the network, and that the repository exists, then run the command again",
    )


def api_errors(answer: Answer) -> list[dict[str, object]]:
    """The `errors` list of a registry answer; empty when the body is something else."""
    try:
        errors = json.loads(answer.content)["errors"]
    except (ValueError, KeyError, TypeError):
        return []
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _refusal(method: str, url: str, answer: Answer) -> ImageError:
    errors = api_errors(answer)
    codes = {str(error.get("code", "")) for error in errors}
    reason = "; ".join(str(error.get("message", "")) for error in errors if error.get("message"))
    said = f"`{answer.status}` to {method} `{urlsplit(url).path}`" + (f": {reason}" if reason else "")
    if answer.status == 429 or "TOOMANYREQUESTS" in codes:
        return RegistryThrottled(f"The registry answers {said}", hint="Wait a minute, then run the command again")
    if answer.status in (401, 403):
        expired = "expired" in answer.content.decode(errors="replace")
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
    if answer.status >= 500:
        return RegistryUnreachable(f"The registry answers {said}", hint="Run the command again later")
    return RegistryRefused(f"The registry answers {said}", hint="Check the address and the name of the repository")


def _digests_in(detail: object) -> list[str]:
    if isinstance(detail, str):
        return [detail] if detail.startswith("sha256:") else []
    if isinstance(detail, dict):
        return [digest for value in detail.values() for digest in _digests_in(value)]
    return []
