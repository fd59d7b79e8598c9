"""Connections to registries, kept open between requests, and the way there.

Proxies are the environment's (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), and so are the certificate authorities: a file or
folder that `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` or `AWS_CA_BUNDLE` names, else what OpenSSL trusts (`SSL_CERT_FILE`, the system's).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from images.wire import BadAnswer, Connection, Response, host_header

if TYPE_CHECKING:
    from ssl import SSLContext

_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_HTTPS_PORT = 443


class _Route:
    """A connection to an origin. Through a proxy a plain request names the whole URL, and carries what the proxy asks for."""

    def __init__(self, connection: Connection, *, names_url: bool = False, headers: Mapping[str, str]) -> None:
        self.connection = connection
        self.names_url = names_url
        self.headers = headers


class Answer:
    """An answer whose head was read. `load` reads its body into `content`; or `read` pieces of it, then `close` the answer."""

    def __init__(self, url: str, response: Response, route: _Route, idle: list[_Route]) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self.content = b""
        self._response = response
        self._route: _Route | None = route
        self._idle = idle

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all. Raises: `OSError` or `BadAnswer`, if the body is cut off."""
        return self._response.read(size)

    def load(self) -> None:
        """Read the whole body. Raises like `read`."""
        try:
            self.content = self.read()
        finally:
            self.close()

    def close(self) -> None:
        """Let the next request have the connection, if this body was read to its end."""
        route, self._route = self._route, None
        if route and self._response.is_done and self._response.stays_open:
            self._idle.append(route)
        elif route:
            route.connection.close()


class Connections:
    """Connections by origin, kept open between requests. Safe to share between threads: each request takes one for itself."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[_Route]] = {}

    def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request and read the head of its answer. Raises: `OSError`, `BadAnswer`, `ValueError`."""
        pieces = urlsplit(url)
        idle = self._idle.setdefault((pieces.scheme, pieces.netloc), [])
        try:
            route = idle.pop()
        except IndexError:
            route = self._route_to(pieces)
        target = (pieces.path or "/") + (f"?{pieces.query}" if pieces.query else "")
        response = route.connection.exchange(
            method, url if route.names_url else target, {**route.headers, **headers}, body
        )
        return Answer(url, response, route, idle)

    def close(self) -> None:
        """Close every connection that no request has taken."""
        for idle in self._idle.values():
            while idle:
                idle.pop().connection.close()

    def _route_to(self, pieces: SplitResult) -> _Route:
        if pieces.scheme not in ("http", "https") or not pieces.hostname:
            raise BadAnswer(f"`{pieces.geturl()}` is no address of a web server")
        proxy = _proxy_to(pieces)
        host = {"Host": host_header(pieces.scheme, pieces.hostname, pieces.port), "Accept-Encoding": "identity"}
        trust = self._trust if pieces.scheme == "https" else None
        port = pieces.port or (_HTTPS_PORT if trust else 80)
        if proxy is None:
            return _Route(Connection(pieces.hostname, port, trust=trust), headers=host)
        asked = {"Proxy-Authorization": _login_to(proxy)} if proxy.username else {}
        there = (proxy.hostname or "", proxy.port or 80)
        if trust is None:
            return _Route(Connection(*there), names_url=True, headers={**host, **asked})
        tunnelled = Connection(*there, trust=trust, tunnel=(pieces.hostname, port), tunnel_headers=asked)
        return _Route(tunnelled, headers=host)

    @cached_property
    def _trust(self) -> SSLContext:
        from ssl import create_default_context

        bundle = next((os.environ[name] for name in _CA_BUNDLES if os.environ.get(name)), None)
        is_folder = bundle is not None and Path(bundle).is_dir()
        try:
            return create_default_context(capath=bundle) if is_folder else create_default_context(cafile=bundle)
        except OSError as error:
            raise BadAnswer(f"the certificates of `{bundle}` cannot be used: {error.strerror}") from error


def _login_to(proxy: SplitResult) -> str:
    from base64 import b64encode  # which only such a proxy needs

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
        raise BadAnswer(f"a proxy of kind `{proxy.scheme}` cannot be used")
    return proxy
