"""HTTP to one registry: authentication, attempts, counting, and refusals as typed errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from images.connections import Answer, Connections
from images.errors import ImageError, RegistryUnreachable

# Returns the value of the `Authorization` header, "" for none; called for each request, so it may renew an expiring token.
Credentials = Callable[[], str]
# Is told of such a value that the registry calls expired: from then on the credentials give another one.
Forget = Callable[[str], None]
T = TypeVar("T")

BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 20.0
RETRY_AFTER_CAP_S = 60.0
MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DENIED = frozenset({401, 403})


class AttemptFailed(Exception):
    """One attempt failed in a way that another may mend; `wait_s` is what the registry asked for."""

    def __init__(self, failure: ImageError, *, wait_s: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.wait_s = wait_s


class LoginExpired(AttemptFailed):
    """The registry called the token expired, and it was forgotten: the next attempt comes with a new one."""


def _full_jitter(bound_s: float) -> float:
    from random import uniform  # which only a failure needs

    return uniform(0, bound_s)


def _nobody(_line: str) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """How often to try and how long to wait in between: never less than the registry asked for, up to a minute.

    `tell` gets a line for each attempt that failed and is followed by another, and when the registry is waited for; from any thread.
    """

    count: int = 5
    tell: Callable[[str], None] = _nobody
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float], float] = _full_jitter

    def run(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it returns; once more, and at once, with a new token. Raises: the failure of the last attempt."""
        number, has_new_login = 0, False
        while True:
            try:
                return attempt()
            except LoginExpired as expired:
                if has_new_login:
                    raise expired.failure from expired
                has_new_login = True
            except AttemptFailed as failed:
                number += 1
                if number >= self.count:
                    raise failed.failure from failed
                self.tell(f"{failed.failure.message}; attempt {number + 1} of {self.count} follows")
                self.pause(number, at_least_s=failed.wait_s)

    def pause(self, number: int, *, at_least_s: float = 0.0) -> None:
        """Wait after failure `number`, counted from 1."""
        self.sleep(max(at_least_s, self.jitter(min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**number))))


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with port, the scope within which credentials may travel."""
    pieces = urlsplit(url)
    default = {"http": ":80", "https": ":443"}.get(pieces.scheme, "")
    return pieces.scheme, pieces.netloc.lower().removesuffix(default)


class Transport:
    """Sends single requests; owns the connections and counts what is sent. Safe to share between threads.

    `requests_sent` counts every request on the wire, redirects and repeated attempts included; `bytes_sent` counts
    request bodies. Credentials go to the registry's own origin only.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credentials: Credentials | None = None,
        forget: Forget | None = None,
        tell: Callable[[str], None] = _nobody,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.requests_sent = 0
        self.bytes_sent = 0
        self._credentials = credentials
        self._forget = forget
        self._connections = Connections(waiting=lambda: tell(f"Waiting for the registry at `{self.base_url}`"))
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
        login, answer = self._exchange(method, absolute, headers or {}, body)
        for _ in range(MAX_REDIRECTS):
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD") or not location:
                break
            with self._answering():
                answer.load()
                absolute = urljoin(answer.url, location)
            login, answer = self._exchange(method, absolute, headers or {}, body)
        if not (stream and answer.status in expected):
            with self._answering():
                answer.load()
        if answer.status in expected:
            return answer
        if method == "HEAD" and answer.status in _DENIED:
            login, answer = self._with_reason(absolute, headers or {}, login, answer)
        raise self._refused(method, absolute, login, answer)

    def _with_reason(self, url: str, headers: Mapping[str, str], login: str, denied: Answer) -> tuple[str, Answer]:
        """The denial of a HEAD, which has no body, as a GET has it: only that tells an expired token from a missing permission."""
        asked_with, answer = self._exchange("GET", url, headers, b"")
        if answer.status != denied.status:
            answer.close()
            return login, denied
        with self._answering():
            answer.load()
        return asked_with, answer

    def _refused(self, method: str, url: str, login: str, answer: Answer) -> Exception:
        from images.refusals import refusal  # which only a failure needs

        refused = refusal(method, url, answer)
        if refused.is_expired and login and self._forget:
            self._forget(login)
            return LoginExpired(refused.failure)
        if refused.may_pass:
            return AttemptFailed(refused.failure, wait_s=retry_after_s(answer.headers, now_s=time.time()))
        return refused.failure

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[str, Answer]:
        """The login that was sent, "" for none, and the answer."""
        login = self._login_for(url)
        headers = {**headers, "User-Agent": "capctl"} | ({"Authorization": login} if login else {})
        with self._lock:
            self.requests_sent += 1
            self.bytes_sent += len(body)
        with self._answering():
            return login, self._connections.exchange(method, url, headers=headers, body=body)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as err:  # the last for an address that is none
            raise _failed(self.base_url, err) from err

    def _login_for(self, url: str) -> str:
        if self._credentials is None or origin_of(url) != origin_of(self.base_url):
            return ""
        return self._credentials()


def retry_after_s(headers: HTTPMessage, *, now_s: float) -> float:
    """The seconds that `Retry-After` asks for, in either of its forms, from 0 to 60; a date counts by the registry's own clock."""
    asked = headers.get("Retry-After", "")
    try:
        wait_s = float(asked)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            then_s = parsedate_to_datetime(asked).timestamp()
        except ValueError:
            return 0.0
        with suppress(ValueError):
            now_s = parsedate_to_datetime(headers.get("Date", "")).timestamp()
        wait_s = then_s - now_s
    return min(RETRY_AFTER_CAP_S, wait_s) if wait_s > 0 else 0.0


def _failed(base_url: str, err: Exception) -> Exception:
    from ssl import SSLCertVerificationError, SSLEOFError, SSLError  # which only a failure needs

    if isinstance(err, SSLCertVerificationError):
        return RegistryUnreachable(
            f"The certificate of `{base_url}` is not trusted: {err.verify_message}",
            hint="Name a file with the certificate of its authority in `SSL_CERT_FILE`, or correct the address",
        )
    if isinstance(err, SSLError) and err.reason == "WRONG_VERSION_NUMBER":
        return RegistryUnreachable(
            f"What answers at `{base_url}` speaks no TLS",
            hint=f"Write `{base_url.replace('https://', 'http://', 1)}` if it is a registry without",
        )
    # ECR cuts the connection, without an answer, when the repository of an upload does not exist.
    is_cut = isinstance(err, (ConnectionResetError, BrokenPipeError, SSLEOFError))
    reason = getattr(err, "strerror", None) or str(err) or type(err).__name__
    return AttemptFailed(
        RegistryUnreachable(
            f"The registry at `{base_url}` does not answer: {reason}",
            hint=f"Check the address and the network{', and that the repository exists' if is_cut else ''}, then run the command again",
            is_cut=is_cut,
        )
    )
