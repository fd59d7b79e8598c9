"""A container registry in this process: real HTTP, with faults to order."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass
class Fault:
    """Applies to the next `times` requests with this method and path fragment."""

    method: str
    path: str
    status: int = 500
    code: str = "UNKNOWN"
    message: str = "broken"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    # Serve the request, then cut the connection instead of answering.
    lose_answer: bool = False
    # Answer with these bytes instead of the stored ones.
    body: bytes | None = None
    # Announce so many bytes more than come.
    missing_bytes: int = 0


@dataclass
class FakeRegistry:
    url: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    immutable: bool = False
    mounts: bool = True
    names_digest: bool = True
    sessions: int = 0
    connections: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_image(self, repository: str, config: dict[str, object], layers: list[bytes], family: str = "docker") -> str:
        kinds = {
            "docker": (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            "oci": (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
        }[family]
        raw_config = json.dumps(config).encode()
        for blob in (raw_config, *layers):
            self.blobs[(repository, digest_of(blob))] = blob
        manifest = {
            "schemaVersion": 2,
            "mediaType": kinds[0],
            "config": {"mediaType": kinds[1], "size": len(raw_config), "digest": digest_of(raw_config)},
            "layers": [{"mediaType": kinds[2], "size": len(blob), "digest": digest_of(blob)} for blob in layers],
        }
        raw = json.dumps(manifest).encode()
        self.manifests[(repository, digest_of(raw))] = (kinds[0], raw)
        return digest_of(raw)

    def manifest(self, repository: str, reference: str) -> dict[str, object]:
        digest = self.tags.get((repository, reference), reference)
        document: dict[str, object] = json.loads(self.manifests[(repository, digest)][1])
        return document

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == method and fault.path in path:
                fault.times -= 1
                return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: FakeRegistry

    def setup(self) -> None:
        super().setup()
        with self.registry.lock:
            self.registry.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Keep test output quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.losing:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) + self.missing_bytes))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str = "", detail: object = None, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()
        self.answer(status, body, Content_Type="application/json", **headers)

    def serve(self) -> None:
        registry = self.registry
        self.losing, self.missing_bytes = False, 0
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = urlsplit(self.path)
        with registry.lock:
            registry.log.append(f"{self.command} {pieces.path}")
            registry.authorizations.append(self.headers.get("Authorization"))
            fault = registry.take_fault(self.command, self.path)
            self.missing_bytes = fault.missing_bytes if fault else 0
            self.close_connection |= bool(fault and fault.missing_bytes)
            if fault and fault.body is not None:
                self.answer(200, fault.body)
                return
            if fault and not (fault.lose_answer or fault.missing_bytes):
                self.refuse(fault.status, fault.code, fault.message, None, **fault.headers)
                return
            self.losing = bool(fault and fault.lose_answer)
            repository, _, rest = pieces.path.removeprefix("/v2/").rpartition("/")
            for kind in ("/blobs/uploads", "/blobs", "/manifests", "/tags"):
                if repository.endswith(kind):
                    repository = repository.removesuffix(kind)
                    route: Callable[..., None] = getattr(self, f"{self.command.lower()}_{kind.split('/')[-1]}")
                    route(repository, rest, {name: each[0] for name, each in parse_qs(pieces.query).items()}, body)
                    return
            self.refuse(404, "UNSUPPORTED")

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815

    def get_blobs(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        blob = self.registry.blobs.get((repository, rest))
        if blob is None:
            self.refuse(404, "BLOB_UNKNOWN")
        else:
            self.answer(200, blob, Docker_Content_Digest=rest)

    head_blobs = get_blobs

    def post_uploads(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        source = self.registry.blobs.get((query.get("from", ""), query.get("mount", "")))
        if source is not None and self.registry.mounts:
            self.registry.blobs[(repository, query["mount"])] = source
            self.answer(201)
            return
        self.registry.sessions += 1
        self.answer(202, Location=f"/v2/{repository}/blobs/uploads/s{self.registry.sessions}?_state=x")

    def put_uploads(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        if digest_of(body) != query["digest"]:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        self.registry.blobs[(repository, query["digest"])] = body
        self.answer(201, Docker_Content_Digest=query["digest"])

    def get_manifests(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        digest = self.registry.tags.get((repository, rest), rest)
        stored = self.registry.manifests.get((repository, digest))
        if stored is None:
            self.refuse(404, "MANIFEST_UNKNOWN")
        else:
            named = {"Docker_Content_Digest": digest} if self.registry.names_digest else {}
            self.answer(200, stored[1], Content_Type=stored[0], **named)

    head_manifests = get_manifests

    def put_manifests(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        registry, digest, document = self.registry, digest_of(body), json.loads(body)
        wanted = [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]
        missing = [name for name in wanted if (repository, name) not in registry.blobs]
        if missing:
            self.refuse(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown", {"digest": missing[0]})
            return
        if registry.immutable and (repository, rest) in registry.tags:
            self.refuse(400, "TAG_INVALID", f"tag {rest} cannot be overwritten because the tag is immutable")
            return
        registry.manifests[(repository, digest)] = (self.headers["Content-Type"], body)
        if not rest.startswith("sha256:"):
            registry.tags[(repository, rest)] = digest
        self.answer(201, Docker_Content_Digest=digest)

    def get_tags(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        names = sorted(tag for owner, tag in self.registry.tags if owner == repository)
        self.answer(200, json.dumps({"name": repository, "tags": names}).encode())


class QuietServer(ThreadingHTTPServer):
    """Serves each connection in a thread that nobody waits for."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def serving() -> Iterator[FakeRegistry]:
    """An empty registry that answers at its `url`."""
    fake = FakeRegistry()
    server = QuietServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"registry": fake}))
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
