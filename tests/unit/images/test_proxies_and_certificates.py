"""The way to a registry: proxies, and whose certificates count."""

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
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from images.errors import RegistryUnreachable
from images.registry import RegistryClient
from images.transport import Attempts
from tests.fakes.registry import FakeRegistry, QuietServer
from tests.unit.images.test_connections import REPO, client_of


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


def test_registry_without_tls_is_told_as_that_and_asked_once(registry: Any) -> None:
    client = RegistryClient(registry.url.replace("http://", "https://"), "job")
    with pytest.raises(RegistryUnreachable, match="speaks no TLS") as failed:
        client.head_manifest("any")
    assert failed.value.hint == f"Write `{registry.url}` if it is a registry without"
    assert client.requests_sent == 1
