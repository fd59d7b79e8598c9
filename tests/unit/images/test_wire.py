"""Answers in HTTP/1.1, as servers and proxies write them and as they should not."""

from __future__ import annotations

import io
import socket
import threading

import pytest

from images.wire import BadAnswer, Connection, Response, host_header


def response_of(raw: bytes, method: str = "GET") -> Response:
    return Response(method, io.BytesIO(raw))


@pytest.mark.parametrize(
    ("raw", "body", "stays_open"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcREST", b"abc", True),
        (b"HTTP/1.1 200 OK\ncontent-length:3\n\nabc", b"abc", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: Close\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.1 200\r\n\r\nall that comes", b"all that comes", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na", b"a", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", b"a", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n",
            b"abcd",
            True,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", b"", True),
    ],
)
def test_body_ends_where_the_answer_says(raw: bytes, body: bytes, stays_open: bool) -> None:
    whole, bytewise = response_of(raw), response_of(raw)
    assert whole.read() == body == b"".join(iter(lambda: bytewise.read(1), b""))
    assert (whole.is_done, whole.stays_open, whole.read()) == (True, stays_open, b"")
    assert bytewise.is_done


def test_answer_to_head_has_no_body_whatever_its_length() -> None:
    response = response_of(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX: a\r\nx: b\r\n\r\n", "HEAD")
    assert (response.is_done, response.read(), response.stays_open) == (True, b"", True)
    assert (response.headers.get("x"), response.headers["CONTENT-LENGTH"], response.headers.get("none", "-")) == (
        "a",
        "7",
        "-",
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_what_is_no_whole_answer_is_an_error(raw: bytes) -> None:
    with pytest.raises((BadAnswer, ConnectionResetError)):
        response_of(raw).read()


def test_connection_that_is_closed_without_a_word_counts_as_cut() -> None:
    with pytest.raises(ConnectionResetError):
        response_of(b"")


def sent(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    """What a server gets, which answers `204`."""
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(10)
                data = b""
                while not data.endswith(b"\r\n\r\n" + body):
                    data += peer.recv(65536)
                received.append(data)
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection("127.0.0.1", server.getsockname()[1])
        assert connection.exchange(method, target, headers, body).status == 204
        connection.close()
        thread.join()
    return received[0]


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", b""), ("POST", b"", b"Content-Length: 0\r\n"), ("PUT", b"ab", b"Content-Length: 2\r\n")],
)
def test_request_tells_the_length_of_its_body_wherever_it_may_have_one(method: str, body: bytes, length: bytes) -> None:
    assert sent(method, "/v2/?a=b", {"Host": "h"}, body) == (
        f"{method} /v2/?a=b HTTP/1.1\r\nHost: h\r\n".encode() + length + b"\r\n" + body
    )


@pytest.mark.parametrize(
    ("target", "header"), [("/a b", "x"), ("/ä", "x"), ("/a\r\nX: y", "x"), ("/", "x\r\nX: y"), ("/", "ä")]
)
def test_nothing_is_smuggled_into_a_request(target: str, header: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        Connection("127.0.0.1", 9).exchange("GET", target, {"X": header}, b"")


def test_host_has_its_port_only_where_it_is_another_than_the_schemes() -> None:
    assert host_header("https", "r.example", None) == host_header("https", "r.example", 443) == "r.example"
    assert host_header("http", "r.example", 443) == "r.example:443"
    assert host_header("http", "::1", 5000) == "[::1]:5000"
