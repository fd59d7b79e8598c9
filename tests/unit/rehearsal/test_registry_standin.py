"""The registry of this process keeps the rules of the distribution API that a client relies on."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from lifecycle.rehearsal.services.registry_standin import StandInRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry() -> Iterator[StandInRegistry]:
    with StandInRegistry() as running:
        yield running


def call(
    registry: StandInRegistry, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(registry.address, timeout=5)
    chunked = isinstance(body, list)
    connection.request(method, path, iter(body) if chunked else body, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_blob(registry: StandInRegistry, name: str, content: bytes) -> str:
    status, headers, _ = call(registry, "POST", f"/v2/{name}/blobs/uploads/")
    assert status == 202
    digest = digest_of(content)
    status, headers, _ = call(registry, "PUT", f"{headers['location']}?digest={digest}", content)
    assert (status, headers["docker-content-digest"]) == (201, digest)
    return digest


def push_image(registry: StandInRegistry, name: str, tag: str, content: bytes = b"layer") -> str:
    config, blob = push_blob(registry, name, b"{}"), push_blob(registry, name, content)
    body = manifest(config, blob)
    status, headers, _ = call(registry, "PUT", f"/v2/{name}/manifests/{tag}", body, **{"Content-Type": MANIFEST})
    assert status == 201
    return headers["docker-content-digest"]


def manifest(config: str, *layers: str) -> bytes:
    entries = [{"digest": layer, "size": 1, "mediaType": "x"} for layer in layers]
    return json.dumps({"schemaVersion": 2, "config": {"digest": config, "size": 2}, "layers": entries}).encode()


def code_of(content: bytes) -> str:
    return str(json.loads(content)["errors"][0]["code"])


def test_pushed_image_is_read_by_tag_and_by_digest(registry: StandInRegistry) -> None:
    digest = push_image(registry, "team/job", "v1")
    for reference in ("v1", digest):
        status, headers, body = call(registry, "GET", f"/v2/team/job/manifests/{reference}")
        assert (status, headers["content-type"], digest_of(body)) == (200, MANIFEST, digest)
    status, headers, body = call(registry, "HEAD", "/v2/team/job/manifests/v1")
    assert (status, headers["docker-content-digest"], body) == (200, digest, b"")
    assert int(headers["content-length"]) > 0


def test_wrong_digest_is_refused_and_the_upload_is_used_up(registry: StandInRegistry) -> None:
    _, headers, _ = call(registry, "POST", "/v2/job/blobs/uploads/")
    path = f"{headers['location']}?digest=sha256:{'0' * 64}"
    status, _, body = call(registry, "PUT", path, b"content")
    assert (status, code_of(body)) == (400, "DIGEST_INVALID")
    status, _, body = call(registry, "PUT", path, b"content")
    assert (status, code_of(body)) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_manifest_may_only_name_blobs_of_its_repository(registry: StandInRegistry) -> None:
    config, blob = push_blob(registry, "one", b"{}"), push_blob(registry, "one", b"layer")
    status, _, body = call(registry, "PUT", "/v2/two/manifests/v1", manifest(config, blob))
    assert (status, code_of(body)) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_mount_brings_a_blob_of_another_repository_without_its_bytes(registry: StandInRegistry) -> None:
    blob = push_blob(registry, "one", b"layer")
    sent = registry.received_bytes
    status, _, _ = call(registry, "POST", f"/v2/two/blobs/uploads/?mount={blob}&from=one")
    assert status == 201
    assert call(registry, "HEAD", f"/v2/two/blobs/{blob}")[0] == 200
    assert registry.received_bytes == sent


def test_mount_of_an_unknown_blob_starts_an_upload(registry: StandInRegistry) -> None:
    status, headers, _ = call(registry, "POST", f"/v2/two/blobs/uploads/?mount=sha256:{'1' * 64}&from=one")
    assert status == 202
    assert "/blobs/uploads/" in headers["location"]


def test_upload_in_parts_with_chunked_encoding(registry: StandInRegistry) -> None:
    _, headers, _ = call(registry, "POST", "/v2/job/blobs/uploads/")
    parts = [b"one ", b"two"]
    status, headers, _ = call(registry, "PATCH", headers["location"], parts, **{"Transfer-Encoding": "chunked"})
    assert (status, headers["range"]) == (202, "0-6")
    digest = digest_of(b"one two")
    assert call(registry, "PUT", f"{headers['location']}?digest={digest}")[0] == 201
    assert call(registry, "GET", f"/v2/job/blobs/{digest}")[2] == b"one two"


def test_upload_in_one_request(registry: StandInRegistry) -> None:
    digest = digest_of(b"all")
    assert call(registry, "POST", f"/v2/job/blobs/uploads/?digest={digest}", b"all")[0] == 201
    assert call(registry, "GET", f"/v2/job/blobs/{digest}")[2] == b"all"


def test_part_of_a_blob(registry: StandInRegistry) -> None:
    digest = push_blob(registry, "job", b"0123456789")
    status, headers, body = call(registry, "GET", f"/v2/job/blobs/{digest}", Range="bytes=2-4")
    assert (status, headers["content-range"], body) == (206, "bytes 2-4/10", b"234")
    assert call(registry, "GET", f"/v2/job/blobs/{digest}", Range="bytes=-3")[2] == b"789"


def test_empty_blob(registry: StandInRegistry) -> None:
    digest = push_blob(registry, "job", b"")
    status, headers, body = call(registry, "GET", f"/v2/job/blobs/{digest}")
    assert (status, headers["content-length"], body) == (200, "0", b"")


def test_deleted_manifest_takes_its_tags_along(registry: StandInRegistry) -> None:
    digest = push_image(registry, "job", "v1")
    push_image(registry, "job", "v2", b"other")
    assert call(registry, "DELETE", f"/v2/job/manifests/{digest}")[0] == 202
    status, _, body = call(registry, "GET", "/v2/job/manifests/v1")
    assert (status, code_of(body)) == (404, "MANIFEST_UNKNOWN")
    assert json.loads(call(registry, "GET", "/v2/job/tags/list")[2]) == {"name": "job", "tags": ["v2"]}


def test_requests_are_recorded_in_order(registry: StandInRegistry) -> None:
    push_blob(registry, "job", b"12345")
    assert [(one.method, one.status, one.received_bytes) for one in registry.requests] == [
        ("POST", 202, 0),
        ("PUT", 201, 5),
    ]


def test_unknown_repository_and_path(registry: StandInRegistry) -> None:
    assert code_of(call(registry, "GET", "/v2/none/tags/list")[2]) == "NAME_UNKNOWN"
    assert call(registry, "GET", "/elsewhere")[0] == 404
    assert call(registry, "PUT", "/v2/job/tags/list", b"x")[0] == 405


def test_push_is_told_to_the_listener() -> None:
    events: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    with StandInRegistry(events_url=f"http://127.0.0.1:{listener.server_port}/") as registry:
        digest = push_image(registry, "job", "v1")
    listener.shutdown()
    listener.server_close()
    (event,) = events
    assert event["action"] == "push"
    assert {name: event["target"][name] for name in ("repository", "tag", "digest", "mediaType")} == {
        "repository": "job",
        "tag": "v1",
        "digest": digest,
        "mediaType": MANIFEST,
    }
