"""A container registry in this process: real HTTP, with ECR's ways to switch on and faults to order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from tests.fakes.registry_calls import Calls, digest_of


@dataclass(frozen=True)
class Hold:
    """A request that waits: `reached` is set when it does, and setting `released` ends the wait."""

    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class Fault:
    """Applies to the next `times` requests with this method and path fragment, of which "" is any, after `skip` others."""

    method: str
    path: str
    status: int = 500
    code: str = "UNKNOWN"
    message: str = "broken"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    skip: int = 0
    # Keep the request waiting, then serve it.
    hold: Hold | None = None
    # The message alone instead of an error document.
    is_plain: bool = False
    # Serve the request, then cut the connection instead of answering.
    lose_answer: bool = False
    # Reset the connection after so many bytes of the request's body, which is then not served; of the answer's, if the request has none.
    reset_after: int | None = None
    # Answer with these bytes instead of the stored ones.
    body: bytes | None = None
    # Announce so many bytes more than come.
    missing_bytes: int = 0

    @property
    def refuses(self) -> bool:
        """Whether the request is not served at all."""
        return not (self.lose_answer or self.missing_bytes or self.hold or self.reset_after is not None)


@dataclass
class FakeRegistry:
    url: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    # Path and query of each request.
    targets: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    immutable: bool = False
    names_digest: bool = True
    # The one value of `Authorization` that is taken; any other has expired.
    login: str | None = None
    # Those that exist; None for every one. An upload to another has its connection cut, or is refused with NAME_UNKNOWN.
    repositories: set[str] | None = None
    cuts_unknown: bool = True
    # Where blobs are really read, as ECR's lie in S3.
    blobs_at: str = ""
    # Whether an upload's address is a whole one; it has a query either way.
    absolute_locations: bool = False
    # Whether a manifest whose blobs are missing is refused, and how.
    checks_manifests: bool = True
    says_missing: tuple[str, str] = ("MANIFEST_BLOB_UNKNOWN", "blob unknown")
    sessions: int = 0
    # What each upload session has received, but for those that ended well.
    received: dict[str, bytes] = field(default_factory=dict)
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

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        digest = self.tags.get((repository, reference), reference)
        document: dict[str, Any] = json.loads(self.manifests[(repository, digest)][1])
        return document

    def knows(self, repository: str) -> bool:
        return self.repositories is None or repository in self.repositories

    def is_complete(self, repository: str, tag: str) -> bool:
        """Whether the repository holds, with the right digests, all that the image of the tag is made of."""
        digest = self.tags[(repository, tag)]
        document = self.manifest(repository, tag)
        parts = [document["config"], *document["layers"]]
        return digest_of(self.manifests[(repository, digest)][1]) == digest and all(
            digest_of(self.blobs.get((repository, part["digest"]), b"")) == part["digest"] for part in parts
        )

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method in ("", method) and fault.path in path:
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


class QuietServer(ThreadingHTTPServer):
    """Serves each connection in a thread that nobody waits for."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""


@contextmanager
def serving() -> Iterator[FakeRegistry]:
    """An empty registry that answers at its `url`."""
    fake = FakeRegistry()
    server = QuietServer(("127.0.0.1", 0), type("Bound", (Calls,), {"registry": fake}))
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
