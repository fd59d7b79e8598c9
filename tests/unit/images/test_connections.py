"""What lies between a registry and its client: connections and redirects."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from images import connections
from images.connections import Connections, make_ready
from images.digests import digest_of
from images.errors import DigestMismatch, RegistryRefused, RegistryUnreachable
from images.parallel import together
from images.registry import RegistryClient
from images.transport import Attempts, Transport
from tests.fakes.registry import FakeRegistry, Fault, serving

REPO = "job"


def client_of(url: str, **options: Any) -> RegistryClient:
    return RegistryClient(url, REPO, attempts=Attempts(count=1), **options)


# --- connections


def test_requests_in_turn_share_one_connection(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    digest = client.upload_blob(b"content")
    assert client.get_blob(digest) == b"content"
    assert client.head_manifest("none") is None
    assert (len(registry.log), registry.connections) == (4, 1)


def test_a_streamed_blob_gives_its_connection_back_when_it_was_read_to_the_end(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    digest = client.upload_blob(bytes(3_000_000))
    with client.open_blob(digest, 3_000_000) as stream:
        stream.read(10)
    client.head_blob(digest)
    assert registry.connections == 1
    with pytest.raises(KeyError), client.open_blob(digest, 3_000_000) as stream:
        raise KeyError(stream.read(10))
    client.head_blob(digest)
    assert registry.connections == 2


def test_requests_at_once_take_a_connection_each_and_keep_it_for_later(registry: FakeRegistry) -> None:
    client, both = client_of(registry.url), threading.Barrier(2)

    def fetch() -> None:
        both.wait()
        for _ in range(5):
            assert client.head_blob(digest_of(b"x")) is False

    together([fetch, fetch])
    together([fetch, fetch])
    assert len(registry.log) == 20
    assert registry.connections <= 2


def test_a_connection_that_the_other_side_closed_meanwhile_is_opened_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = HTTPConnection(*server.getsockname())
        make_ready(connection)
        first, (peer, _) = connection.sock, server.accept()
        make_ready(connection)
        assert connection.sock is first
        peer.close()
        select.select([first], [], [], 10)
        make_ready(connection)
        assert connection.sock is not first
        connection.close()


def test_a_large_body_goes_in_pieces_each_of_which_has_the_time_limit(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, send = [], HTTPConnection.send

    def recorded(connection: HTTPConnection, data: bytes) -> None:
        sent.append(len(data))
        send(connection, data)

    monkeypatch.setattr(HTTPConnection, "send", recorded)
    digest = client_of(registry.url).upload_blob(bytes(1_000_000))
    assert client_of(registry.url).head_blob(digest)
    assert sum(sent) > 1_000_000
    assert max(sent) <= 1 << 17


def test_a_document_that_is_none_by_its_size_is_refused(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = client_of(registry.url).upload_blob(bytes(1_000_000))
    monkeypatch.setattr("images.connections.MAX_LOADED_BYTES", 999_999)
    with pytest.raises(RegistryRefused, match="answers more than"):
        client_of(registry.url).get_blob(digest)


@pytest.mark.parametrize("location", ["http://[bad/x", ""])
def test_an_upload_that_shall_go_nowhere_is_refused(registry: FakeRegistry, location: str) -> None:
    registry.faults.append(Fault("POST", "uploads", status=202, headers={"Location": location}))
    with pytest.raises(RegistryRefused, match="where its bytes go"):
        client_of(registry.url).upload_blob(b"content")


@pytest.mark.parametrize("status", [200, 400])
def test_a_document_that_nests_without_end_is_no_crash(registry: FakeRegistry, status: int) -> None:
    registry.faults.append(Fault("GET", "manifests", status=status, body=b"[" * 100_000))
    with pytest.raises(RegistryRefused):
        client_of(registry.url).get_manifest("v1")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_silent_registry_is_waited_for_in_words_and_attempts_are_counted(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.01)
    monkeypatch.setattr(connections, "ANSWER_TIMEOUT_S", 0.05)
    told: list[str] = []
    with pytest.raises(RegistryUnreachable, match="timed out"):
        RegistryClient(silent, REPO, attempts=Attempts(count=2, sleep=lambda _s: None, tell=told.append)).head_manifest(
            "v1"
        )
    assert told == [
        f"Waiting for the registry at `{silent}`",
        f"The registry at `{silent}` does not answer: timed out; attempt 2 of 2 follows",
        f"Waiting for the registry at `{silent}`",
    ]


@pytest.mark.parametrize(("limit", "body"), [("ANSWER_TIMEOUT_S", b""), ("READ_TIMEOUT_S", b"content")])
def test_answer_to_a_request_without_a_body_has_a_shorter_time_limit(
    silent: str, monkeypatch: pytest.MonkeyPatch, limit: str, body: bytes
) -> None:
    assert connections.ANSWER_TIMEOUT_S < connections.READ_TIMEOUT_S
    monkeypatch.setattr(connections, "PATIENCE_S", 0.01)
    monkeypatch.setattr(connections, limit, 0.05)
    with pytest.raises(TimeoutError):
        Connections().exchange("POST", silent, headers={}, body=body)


def test_registry_that_answers_is_not_waited_for_in_words(registry: FakeRegistry) -> None:
    told: list[str] = []
    client = RegistryClient(registry.url, REPO, attempts=Attempts(tell=told.append))
    client.get_blob(client.upload_blob(b"content"))
    assert told == []


def test_a_body_that_is_cut_off_is_another_attempt_in_a_stream_too(registry: FakeRegistry) -> None:
    digest = client_of(registry.url).upload_blob(b"content")
    registry.faults.append(Fault("GET", "blobs", missing_bytes=5, times=2))
    patient = RegistryClient(registry.url, REPO, attempts=Attempts(count=3, sleep=lambda _s: None))
    assert patient.get_blob(digest) == b"content"
    registry.faults.append(Fault("GET", "blobs", missing_bytes=5, times=3))
    with pytest.raises(RegistryUnreachable, match="broke off"), patient.open_blob(digest, 12) as stream:
        stream.read()


def test_an_address_that_is_none_is_an_error() -> None:
    with pytest.raises(RegistryUnreachable, match="no address"):
        client_of("ftp://registry.invalid").head_manifest("v1")
    with pytest.raises(RegistryUnreachable, match=r"[Pp]ort"):
        client_of("http://127.0.0.1:99999").head_manifest("v1")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ],
)
def test_what_is_no_whole_answer_is_an_error(raw: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_once, args=(server, raw))
        thread.start()
        with pytest.raises(RegistryUnreachable):
            client_of(f"http://127.0.0.1:{server.getsockname()[1]}").get_manifest("v1")
        thread.join()


def _answer_once(server: socket.socket, raw: bytes) -> None:
    peer, _ = server.accept()
    with peer:
        peer.recv(65536)
        peer.sendall(raw)


@pytest.mark.parametrize(
    ("path", "header"), [("a b", "x"), ("ä", "x"), ("a\r\nX: y", "x"), ("a", "x\r\nX: y"), ("a", "ł")]
)
def test_nothing_is_smuggled_into_a_request(registry: FakeRegistry, path: str, header: str) -> None:
    with pytest.raises((ValueError, HTTPException)):
        Connections().exchange("GET", f"{registry.url}/{path}", headers={"X": header}, body=b"")
    assert registry.log == []


# --- redirects


def test_a_blob_may_lie_elsewhere_where_no_credentials_go(registry: FakeRegistry) -> None:
    with serving() as storage:
        digest = client_of(storage.url).upload_blob(b"content")
        location = f"{storage.url}/v2/{REPO}/blobs/{digest}"
        registry.faults.append(Fault("GET", "blobs", status=307, headers={"Location": location}, times=2))
        client = client_of(registry.url, credentials=lambda: "Basic c2VjcmV0")
        assert client.get_blob(digest) == b"content"
        with client.open_blob(digest, 7) as stream:
            assert stream.read() == b"content"
        assert client.requests_sent == 4
        assert registry.authorizations == ["Basic c2VjcmV0"] * 2
        assert set(storage.authorizations) == {None}


def test_a_redirect_within_the_registry_keeps_the_credentials(registry: FakeRegistry) -> None:
    digest = client_of(registry.url).upload_blob(b"content")
    registry.authorizations.clear()
    there = {"Location": f"/v2/{REPO}/blobs/{digest}"}
    registry.faults.append(Fault("GET", "blobs", status=302, headers=there))
    assert client_of(registry.url, credentials=lambda: "Basic eA==").get_blob(digest) == b"content"
    assert registry.authorizations == ["Basic eA=="] * 2


def test_redirects_without_end_are_refused(registry: FakeRegistry) -> None:
    again = {"Location": f"/v2/{REPO}/blobs/{digest_of(b'x')}"}
    registry.faults.append(Fault("GET", "blobs", status=307, headers=again, times=99))
    with pytest.raises(RegistryRefused, match="`307`"):
        client_of(registry.url).get_blob(digest_of(b"x"))
    assert len(registry.log) == 6


def test_a_redirect_to_no_address_is_an_error(registry: FakeRegistry) -> None:
    registry.faults.append(Fault("GET", "blobs", status=307, headers={"Location": "http://["}))
    with pytest.raises(RegistryUnreachable, match="IPv6"):
        client_of(registry.url).get_blob(digest_of(b"x"))


def test_an_upload_follows_no_redirect(registry: FakeRegistry) -> None:
    registry.faults.append(Fault("POST", "uploads", status=307, headers={"Location": "http://registry.invalid/"}))
    with pytest.raises(RegistryRefused, match="`307`"):
        client_of(registry.url).upload_blob(b"content")


# --- the rest


def test_counters_and_close_are_the_transports(registry: FakeRegistry) -> None:
    transport = Transport(registry.url)
    transport.send("HEAD", f"/v2/{REPO}/blobs/{digest_of(b'x')}", expected=frozenset({404}))
    transport.close()
    transport.send("HEAD", f"/v2/{REPO}/blobs/{digest_of(b'x')}", expected=frozenset({404}))
    assert (transport.requests_sent, transport.bytes_sent, registry.connections) == (2, 0, 2)


def test_a_streamed_blob_with_other_bytes_is_found_out(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    digest = client.upload_blob(b"content")
    registry.faults.append(Fault("GET", "blobs", body=b"another"))
    with pytest.raises(DigestMismatch), client.open_blob(digest, 7):
        pass
