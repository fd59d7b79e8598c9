"""Connections to registries, kept open between requests, and the way there.

Proxies are the environment's (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), and so are the certificate authorities: a file or
folder that `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or `AWS_CA_BUNDLE` names, else what OpenSSL trusts (`SSL_CERT_FILE`, the system's).
"""

from __future__ import annotations

import os
import select
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from images.errors import RegistryRefused

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

CONNECT_TIMEOUT_S = 5.0
# A registry hashes and stores a body before it answers.
READ_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 20.0
PATIENCE_S = 4.0

# Manifests have 4 MB in ECR at most, and configs less.
MAX_LOADED_BYTES = 64_000_000

_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_PIECE_BYTES = 1 << 17
# Requests that need not say that they have no body.
_BODILESS = frozenset({"GET", "HEAD"})


class _Route:
    """A connection to an origin. Through a proxy a plain request names the whole URL, and carries what the proxy asks for."""

    def __init__(
        self, connection: HTTPConnection, *, names_url: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        self.connection = connection
        self.names_url = names_url
        self.headers = headers or {}


class Answer:
    """An answer whose head was read. `load` reads its body into `content`; or `read` pieces of it, then `close` the answer."""

    def __init__(self, url: str, response: HTTPResponse, route: _Route, idle: list[_Route]) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self.content = b""
        self._response = response
        self._route: _Route | None = route
        self._idle = idle

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all. Raises: `OSError` or `HTTPException`, if the body is cut off."""
        piece = self._response.read(None if size < 0 else size)
        if not piece and size and self._response.length:
            raise IncompleteRead(piece, self._response.length)
        return piece

    def load(self) -> None:
        """Read the whole body. Raises like `read`; RegistryRefused above 64 MB, which no document is."""
        content = bytearray()
        try:
            while piece := self.read(_PIECE_BYTES):
                content += piece
                if len(content) > MAX_LOADED_BYTES:
                    message = f"The registry answers more than {MAX_LOADED_BYTES // 10**6} MB to {self.url}"
                    raise RegistryRefused(message, hint="Check that the address is a container registry's")
            self.content = bytes(content)
        finally:
            self.close()

    def close(self) -> None:
        """Let the next request have the connection, if this body was read to its end."""
        route, self._route = self._route, None
        if route and self._response.isclosed():
            self._idle.append(route)
        elif route:
            self._response.close()
            route.connection.close()


class Connections:
    """Connections by origin, kept open between requests. Safe to share between threads: each request takes one for itself."""

    def __init__(self, *, waiting: Callable[[], None] = lambda: None) -> None:
        """`waiting` is called where the head of an answer takes long."""
        self._waiting = waiting
        self._idle: dict[tuple[str, str], list[_Route]] = {}

    def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read the head of its answer.

        Raises: `OSError`, `HTTPException`; `ValueError`, for an address or a header that cannot be sent.
        """
        pieces = urlsplit(url)
        idle = self._idle.setdefault((pieces.scheme, pieces.netloc), [])
        try:
            route = idle.pop()
        except IndexError:
            route = self._route_to(pieces)
        target = (pieces.path or "/") + (f"?{pieces.query}" if pieces.query else "")
        length = {"Content-Length": str(len(body))} if body or method not in _BODILESS else {}
        try:
            make_ready(route.connection)
            with suppress(BrokenPipeError):  # the answer may say why no more is wanted
                route.connection.request(
                    method,
                    url if route.names_url else target,
                    body=_in_pieces(body) if body else None,
                    headers={**route.headers, **headers, **length},
                )
            self._await(route.connection.sock, ANSWER_TIMEOUT_S if not body else READ_TIMEOUT_S)
            return Answer(url, route.connection.getresponse(), route, idle)
        except BaseException:
            route.connection.close()
            raise

    def close(self) -> None:
        """Close every connection that no request has taken."""
        for idle in self._idle.values():
            while idle:
                idle.pop().connection.close()

    def _await(self, sock: socket.socket, timeout_s: float) -> None:
        sock.settimeout(timeout_s)
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        if not waiting.poll(PATIENCE_S * 1000):
            self._waiting()

    def _route_to(self, pieces: SplitResult) -> _Route:
        if pieces.scheme not in ("http", "https") or not pieces.hostname:
            raise HTTPException(f"`{pieces.geturl()}` is no address of a web server")
        proxy = _proxy_to(pieces)
        if proxy is None:
            return _Route(self._connection(pieces.scheme, pieces.hostname, pieces.port))
        asked = {"Proxy-Authorization": _login_to(proxy)} if proxy.username else {}
        connection = self._connection(pieces.scheme, proxy.hostname or "", proxy.port or 80)
        if pieces.scheme == "http":
            return _Route(connection, names_url=True, headers=asked)
        connection.set_tunnel(pieces.hostname, pieces.port, asked)
        return _Route(connection)

    def _connection(self, scheme: str, host: str, port: int | None) -> HTTPConnection:
        if scheme == "http":
            return HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S)
        return HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S, context=self._trust)

    @cached_property
    def _trust(self) -> SSLContext:
        from ssl import create_default_context

        bundle = next((os.environ[name] for name in _CA_BUNDLES if os.environ.get(name)), None)
        is_folder = bundle is not None and Path(bundle).is_dir()
        try:
            return create_default_context(capath=bundle) if is_folder else create_default_context(cafile=bundle)
        except OSError as error:
            raise HTTPException(f"the certificates of `{bundle}` cannot be used: {error.strerror}") from error


def make_ready(connection: HTTPConnection) -> None:
    """Connect, unless the connection is open, and the other side has not ended it since its last answer."""
    if connection.sock is not None:
        waiting = select.poll()
        waiting.register(connection.sock, select.POLLIN)
        if not waiting.poll(0):
            return
        connection.close()
    connection.connect()
    connection.sock.settimeout(READ_TIMEOUT_S)


def _in_pieces(body: bytes) -> Iterator[bytes]:
    """The time limit is that of one call: a large body on a slow line has one for each piece."""
    return (body[start : start + _PIECE_BYTES] for start in range(0, len(body), _PIECE_BYTES))


def _login_to(proxy: SplitResult) -> str:
    login = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return f"Basic {b64encode(login.encode()).decode()}"


def _proxy_to(pieces: SplitResult) -> SplitResult | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    address = proxies.get(pieces.scheme) or proxies.get("all")
    if not address or proxy_bypass(pieces.netloc):
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http":
        raise HTTPException(f"a proxy of kind `{proxy.scheme}` cannot be used")
    return proxy
