"""What the registry in this process answers: the calls of a push and a pull, in ECR's ways where they are switched on."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.fakes.registry import FakeRegistry

EXPIRED = "Your authorization token has expired. Reauthenticate and try again."
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Calls(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer with a body waits 40 ms for the client's word on its head
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
            self.wfile.write(body[: self.reset_after])
        if self.reset_after is not None:
            self.reset()

    def refuse(self, status: int, code: str, message: str = "", detail: object = None, **headers: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()
        self.answer(status, body, Content_Type="application/json", **headers)

    def serve(self) -> None:
        registry = self.registry
        self.losing, self.missing_bytes = False, 0
        pieces = urlsplit(self.path)
        with registry.lock:
            registry.log.append(f"{self.command} {pieces.path}")
            registry.targets.append(self.path)
            registry.authorizations.append(self.headers.get("Authorization"))
            fault = registry.take_fault(self.command, self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.reset_after = fault.reset_after if fault else None
        if length and self.reset_after is not None:
            came, session = self.rfile.read(min(self.reset_after, length)), pieces.path.rpartition("/")[2]
            if session in registry.received:
                registry.received[session] += came
            self.reset()
            return
        body = self.rfile.read(length)
        if fault and fault.hold:
            fault.hold.reached.set()
            fault.hold.released.wait(60)
        with registry.lock:
            self.missing_bytes = fault.missing_bytes if fault else 0
            self.close_connection |= bool(fault and fault.missing_bytes)
            if fault and fault.body is not None:
                self.answer(200, fault.body)
            elif fault and fault.is_plain:
                self.answer(fault.status, fault.message.encode(), Content_Type="text/plain", **fault.headers)
            elif fault and fault.refuses:
                self.refuse(fault.status, fault.code, fault.message, None, **fault.headers)
            elif registry.login is not None and self.headers.get("Authorization") != registry.login:
                self.refuse(403, "DENIED", EXPIRED)
            else:
                self.losing = bool(fault and fault.lose_answer)
                self.dispatch(pieces.path, {name: each[0] for name, each in parse_qs(pieces.query).items()}, body)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = serve  # noqa: N815

    def reset(self) -> None:
        """End the connection without a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def dispatch(self, path: str, query: dict[str, str], body: bytes) -> None:
        repository, _, rest = path.removeprefix("/v2/").rpartition("/")
        for kind in ("/blobs/uploads", "/blobs", "/manifests", "/tags"):
            if repository.endswith(kind):
                repository = repository.removesuffix(kind)
                if not self.registry.knows(repository):
                    self.losing = self.registry.cuts_unknown and self.command not in ("GET", "HEAD")
                    self.refuse(404, "NAME_UNKNOWN", f"The repository with name '{repository}' does not exist")
                    return
                route: Callable[..., None] = getattr(self, f"{self.command.lower()}_{kind.split('/')[-1]}")
                route(repository, rest, query, body)
                return
        self.refuse(404, "UNSUPPORTED")

    def get_blobs(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        blob = self.registry.blobs.get((repository, rest))
        if blob is None:
            self.refuse(404, "BLOB_UNKNOWN")
        elif self.registry.blobs_at and self.command == "GET":
            self.answer(307, Location=f"{self.registry.blobs_at}{self.path}")
        else:
            self.answer(200, blob, Docker_Content_Digest=rest)

    head_blobs = get_blobs

    def post_uploads(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        registry = self.registry
        registry.sessions += 1
        session = f"s{registry.sessions}"
        registry.received[session] = b""
        origin = registry.url if registry.absolute_locations else ""
        self.answer(202, Location=f"{origin}/v2/{repository}/blobs/uploads/{session}?_state=x")

    def patch_uploads(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        """As ECR: the status is another than the API's, and what comes after the first chunk is damaged."""
        registry = self.registry
        registry.received[rest] += bytes(len(body)) if registry.received[rest] else body
        self.answer(201, Location=f"/v2/{repository}/blobs/uploads/{rest}?_state=x", Range="0-0")

    def put_uploads(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        registry = self.registry
        if rest not in registry.received:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown")
            return
        before = registry.received[rest]
        registry.received[rest] = before + body
        if before and body:
            message = f"First byte of the layer part is 0 instead of {len(before)}"
            self.refuse(416, "BLOB_UPLOAD_INVALID", message)
            return
        if digest_of(before + body) != query["digest"]:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        del registry.received[rest]
        registry.blobs[(repository, query["digest"])] = before + body
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
        if missing and registry.checks_manifests:
            code, words = registry.says_missing
            self.refuse(400, code, words, {"digest": missing[0]})
            return
        if registry.immutable and (repository, rest) in registry.tags:
            words = f"already exists in the '{repository}' repository and cannot be overwritten because the tag is immutable"
            self.refuse(400, "TAG_INVALID", f"The image tag '{rest}' {words}.")
            return
        registry.manifests[(repository, digest)] = (self.headers["Content-Type"], body)
        if not rest.startswith("sha256:"):
            registry.tags[(repository, rest)] = digest
        self.answer(201, Docker_Content_Digest=digest)

    def get_tags(self, repository: str, rest: str, query: dict[str, str], body: bytes) -> None:
        names = sorted(tag for owner, tag in self.registry.tags if owner == repository)
        self.answer(200, json.dumps({"name": repository, "tags": names}).encode())
