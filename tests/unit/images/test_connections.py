"""What lies between a registry and its client: connections, redirects, proxies, certificates."""

from __future__ import annotations

import base64
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from images import connections
from images.code_image import together
from images.connections import Connections, make_ready
from images.digests import digest_of
from images.errors import DigestMismatch, RegistryRefused, RegistryUnreachable
from images.registry import RegistryClient
from images.transport import Attempts, Transport
from tests.fakes.registry import FakeRegistry, Fault, QuietServer, serving

REPO = "job"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


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


# --- proxies


class _Proxy(BaseHTTPRequestHandler):
    """Answers as if nothing were found, and opens no tunnel."""

    seen: list[tuple[str, str, str | None]]

    def log_message(self, format: str, *args: object) -> None:
        """Keep test output quiet."""

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_CONNECT(self) -> None:
        self._answer(502)

    def _answer(self, status: int) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def _listening(server: HTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def proxied() -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    seen: list[tuple[str, str, str | None]] = []
    with _listening(QuietServer(("127.0.0.1", 0), type("Bound", (_Proxy,), {"seen": seen}))) as address:
        yield address, seen


def test_a_plain_request_names_the_whole_address_to_its_proxy(proxied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    address, seen = proxied
    monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@{address}")
    assert client_of("http://registry.invalid:5000").head_manifest("v1") is None
    login = base64.b64encode(b"me:p@ss").decode()
    assert seen == [("HEAD", f"http://registry.invalid:5000/v2/{REPO}/manifests/v1", f"Basic {login}")]


def test_an_encrypted_request_asks_its_proxy_for_a_tunnel(proxied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    address, seen = proxied
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(RegistryUnreachable, match="502"):
        client_of("https://registry.invalid").head_manifest("v1")
    assert seen == [("CONNECT", "registry.invalid:443", None)]


def test_no_proxy_is_asked_for_what_is_exempt(
    registry: FakeRegistry, proxied: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, seen = proxied
    monkeypatch.setenv("ALL_PROXY", f"http://{address}")
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")
    assert client_of(registry.url).head_manifest("v1") is None
    assert (seen, len(registry.log)) == ([], 1)


def test_a_proxy_of_another_kind_is_named(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(RegistryUnreachable, match="`socks5`"):
        client_of(registry.url).head_manifest("v1")


# --- certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("`openssl`, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    names = ("-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", *made, *names, "-days", "2", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "both.pem"


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[str]:
    """The address of a server with that certificate, on which nothing is found."""
    server = QuietServer(("127.0.0.1", 0), type("Bound", (_Proxy,), {"seen": []}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _listening(server) as address:
        yield f"https://{address}"


def test_a_certificate_of_nobody_known_is_refused(encrypted: str) -> None:
    client = RegistryClient(encrypted, REPO, attempts=Attempts(sleep=lambda _s: None))
    with pytest.raises(RegistryUnreachable, match=r"is not trusted: self.signed certificate"):
        client.head_manifest("v1")
    assert client.requests_sent == 1


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_certificates_are_trusted_by_variable(
    encrypted: str, certificate: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate.with_name("cert.pem")))
    assert client_of(encrypted).head_manifest("v1") is None


def test_an_encrypted_request_goes_through_the_tunnel_that_a_proxy_opens(
    encrypted: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    place = encrypted.removeprefix("https://")
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []
        thread = threading.Thread(target=_tunnel, args=(server, place.split(":"), asked))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert client_of(encrypted).head_manifest("v1") is None
        thread.join()
    # Python says 1.0 here up to 3.11, and 1.1 with a `Host` after it.
    assert [head.split(b" HTTP/1.")[0] for head in asked] == [f"CONNECT {place}".encode()]


def _tunnel(server: socket.socket, place: list[str], asked: list[bytes]) -> None:
    """A proxy for one connection: carries bytes both ways until one side ends."""
    inner, _ = server.accept()
    with inner, socket.create_connection((place[0], int(place[1]))) as outer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += inner.recv(1)
        asked.append(head)
        inner.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
        while True:
            for ready in select.select([inner, outer], [], [], 10)[0]:
                piece = ready.recv(65536)
                if not piece:
                    return
                (outer if ready is inner else inner).sendall(piece)


def test_a_bundle_that_does_not_exist_is_named(encrypted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(RegistryUnreachable, match=r"`/nowhere/ca\.pem`"):
        client_of(encrypted).head_manifest("v1")


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
