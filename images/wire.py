"""HTTP/1.1 on one connection, as much of it as talking to a registry takes.

`http.client` brings the standard library's mail parser and TLS along: to import it costs more than all requests of a code push.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0

_MAX_LINE_BYTES = 1 << 16
_MAX_HEADERS = 256
_MAX_INTERIM = 16
_PIECE_BYTES = 1 << 17
# Requests that need not say that they have no body.
_BODILESS = frozenset({"GET", "HEAD"})
_WITHOUT_BODY = frozenset({204, 304})
_HEX = frozenset("0123456789abcdefABCDEF")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class BadAnswer(Exception):
    """What came back is no answer in HTTP, or it ended before its end."""


class Headers:
    """Headers of an answer, whatever the case of their names; of those that come twice the first, of those that do not come ""."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str, default: str = "") -> str:
        return self._values.get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return self.get(name)


class Connection:
    """A connection to `host`, straight or through the tunnel of a proxy, encrypted if `trust` is given. It opens with the first request.

    `tunnel` is the host and port that the proxy at `host` shall reach, and `tunnel_headers` what it wants to see.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        trust: SSLContext | None = None,
        tunnel: tuple[str, int] | None = None,
        tunnel_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._place = (host, port)
        self._trust = trust
        self._tunnel = tunnel
        self._tunnel_headers = tunnel_headers or {}
        self._socket: socket.socket | None = None
        self._reader: BinaryIO | None = None

    def make_ready(self) -> socket.socket:
        """Connect, unless the connection is open, and the other side has not ended it since its last answer. Raises: OSError, BadAnswer."""
        if self._socket is not None:
            waiting = select.poll()
            waiting.register(self._socket, select.POLLIN)
            if not waiting.poll(0):
                return self._socket
            self.close()
        self._socket = self._connected()
        self._reader = self._socket.makefile("rb")
        self._socket.settimeout(READ_TIMEOUT_S)
        return self._socket

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request and read the head of its answer.

        Raises: OSError; BadAnswer; ValueError, for a target or header that cannot be sent.
        """
        try:
            length = {"Content-Length": str(len(body))} if body or method not in _BODILESS else {}
            head = _head(method, target, {**headers, **length})
            stream = self.make_ready()
            with suppress(BrokenPipeError):  # the answer may say why no more is wanted
                stream.sendall(head)
                # The time limit is that of one call: a large body on a slow line has one for each piece.
                for start in range(0, len(body), _PIECE_BYTES):
                    stream.sendall(body[start : start + _PIECE_BYTES])
            return Response(method, self._reading())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        reader, stream, self._reader, self._socket = self._reader, self._socket, None, None
        for one in (reader, stream):
            if one is not None:
                with suppress(OSError):
                    one.close()

    def _reading(self) -> BinaryIO:
        assert self._reader is not None, "a request was sent"
        return self._reader

    def _connected(self) -> socket.socket:
        host, port = self._place
        # As bytes: for text the tables of international names are imported, even where it is an address.
        name = cast("str", host.encode()) if host.isascii() else host
        stream = socket.create_connection((name, port), timeout=CONNECT_TIMEOUT_S)
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tunnel:
                self._open_tunnel(stream, *self._tunnel)
            if self._trust:
                stream = self._trust.wrap_socket(stream, server_hostname=self._tunnel[0] if self._tunnel else host)
        except BaseException:
            stream.close()
            raise
        return stream

    def _open_tunnel(self, stream: socket.socket, host: str, port: int) -> None:
        place = f"{_bracketed(host)}:{port}"
        stream.sendall(_head("CONNECT", place, {"Host": place, **self._tunnel_headers}))
        with stream.makefile("rb", buffering=0) as reader:  # what follows the head belongs to the encryption
            answer = Response("CONNECT", cast("BinaryIO", reader))
        if answer.status != 200:
            message = f"the proxy opens no tunnel: {answer.status} {answer.reason}".rstrip()
            raise BadAnswer(message)


class Response:
    """An answer whose head was read: `status`, `reason`, `headers`. `is_done` once its body was read to the end.

    `stays_open` says whether the connection can carry another request then.
    """

    def __init__(self, method: str, reader: BinaryIO) -> None:
        self._reader = reader
        version, self.status, self.reason = _status_line(reader)
        values = _headers(reader)
        for _ in range(_MAX_INTERIM):
            if not 100 <= self.status < 200:  # an interim answer, such as `100 Continue`
                break
            version, self.status, self.reason = _status_line(reader)
            values = _headers(reader)
        self.headers = Headers(values)
        options = self.headers.get("Connection").lower()
        self.stays_open = "close" not in options and (version != "HTTP/1.0" or "keep-alive" in options)
        self._is_chunked = "chunked" in self.headers.get("Transfer-Encoding").lower()
        # Bytes of the body, or of the chunk, that are still to be read; None for a body that ends with the connection.
        self._left: int | None = 0
        self.is_done = method in ("HEAD", "CONNECT") or self.status in _WITHOUT_BODY
        if not self.is_done and not self._is_chunked:
            self._left = self._length()
            self.is_done = self._left == 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that is left; `b""` at the end. Raises: OSError; BadAnswer, if the body is cut off."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if self._is_chunked and not self.is_done and self._left == 0:
            self._begin_chunk()
        if self.is_done or not size:
            return b""
        piece = self._reader.read(size if self._left is None else min(size, self._left))
        if self._left is None:
            self.is_done = self.is_done or not piece
            return piece
        self._left -= len(piece)
        if not piece:
            raise BadAnswer(f"the answer was cut off {self._left} bytes before its end")
        if self._left == 0:
            self._end_part()
        return piece

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length")
        if text:
            if not (text.isascii() and text.isdecimal()):
                raise BadAnswer(f"`{text}` is no length")
            return int(text)
        self.stays_open = False
        return None

    def _begin_chunk(self) -> None:
        size = _line(self._reader).partition(";")[0].strip()
        if not size or not _HEX.issuperset(size):
            raise BadAnswer(f"`{size[:40]}` is no length of a chunk")
        self._left = int(size, 16)
        if self._left == 0:
            _headers(self._reader)
            self.is_done = True

    def _end_part(self) -> None:
        if not self._is_chunked:
            self.is_done = True
        elif _line(self._reader):
            raise BadAnswer("a chunk does not end where it should")


def host_header(scheme: str, host: str, port: int | None) -> str:
    """The value of the `Host` header."""
    return _bracketed(host) if port in (None, _DEFAULT_PORTS[scheme]) else f"{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if " " in target or not all(line.isascii() and line.isprintable() for line in lines):
        message = f"`{method} {target!a}` cannot be sent: its address or its headers hold characters that HTTP does not"
        raise ValueError(message)
    return "\r\n".join((*lines, "", "")).encode()


def _status_line(reader: BinaryIO) -> tuple[str, int, str]:
    line = _line(reader)
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (len(status) == 3 and status.isdecimal()):
        raise BadAnswer(f"`{line[:40]}` is no answer in HTTP")
    return version, int(status), reason.strip()


def _headers(reader: BinaryIO) -> dict[str, str]:
    values: dict[str, str] = {}
    for _ in range(_MAX_HEADERS):
        line = _line(reader)
        if not line:
            return values
        name, colon, value = line.partition(":")
        if not colon:
            raise BadAnswer(f"`{line[:40]}` is no header")
        values.setdefault(name.lower(), value.strip())
    raise BadAnswer("the answer has too many headers")


def _line(reader: BinaryIO) -> str:
    """A line without its end."""
    raw = reader.readline(_MAX_LINE_BYTES)
    if not raw:
        raise ConnectionResetError("the connection was closed without a whole answer")
    if not raw.endswith(b"\n"):
        raise BadAnswer("the head of the answer is cut off, or a line of it is too long")
    return raw.decode("latin-1").rstrip("\r\n")
