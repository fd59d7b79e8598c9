"""The calls of the OCI distribution API that push and pull images.

They keep the rules that a client could break unseen: digests are checked, a manifest may only name blobs that its repository holds, an
upload is used once.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from lifecycle.rehearsal.services.registry_store import DIGEST, RegistryStore, Request

_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
_ROUTES = {
    "manifest": re.compile(rf"^/v2/({_NAME})/manifests/([A-Za-z0-9_.:-]+)$"),
    "upload": re.compile(rf"^/v2/({_NAME})/blobs/uploads/([0-9a-f-]*)$"),
    "blob": re.compile(rf"^/v2/({_NAME})/blobs/(sha256:[0-9a-f]+)$"),
    "tags": re.compile(rf"^/v2/({_NAME})/tags/list$"),
}
_BLOCK = 1 << 20


class _Refused(Exception):
    """An answer with an error document. `code` is one of the distribution specification's."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class RegistryCalls(BaseHTTPRequestHandler):
    """One connection; a subclass names the `registry` that it reads and writes."""

    registry: RegistryStore
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are recorded, not printed."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        self.received = 0
        url = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            self._route(url.path)
        except _Refused as refused:
            self._drain()
            errors = {"errors": [{"code": refused.code, "message": refused.message}]}
            self._send(refused.status, json.dumps(errors).encode(), {"Content-Type": "application/json"})

    def _route(self, path: str) -> None:
        if path in ("/v2", "/v2/"):
            return self._send(HTTPStatus.OK, b"{}", {"Content-Type": "application/json"})
        if path == "/v2/_catalog":
            return self._send_json({"repositories": sorted(self.registry.repositories)})
        for kind, pattern in _ROUTES.items():
            if found := pattern.match(path):
                action = getattr(self, f"_{self.command.lower()}_{kind}", None)
                if action is None:
                    raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", f"{self.command} {path}")
                action(*found.groups())
                return None
        raise _Refused(HTTPStatus.NOT_FOUND, "NAME_INVALID", f"no such path {path}")

    # --- blobs ------------------------------------------------------------------------------------------------------

    def _get_blob(self, name: str, digest: str) -> None:
        if digest not in self.registry.repository(name).blobs:
            raise _Refused(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"{name} has no blob {digest}")
        path = self.registry.blob_path(digest)
        size = path.stat().st_size
        first, last = _range(self.headers.get("Range"), size)
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "Accept-Ranges": "bytes",
        }
        if (first, last) == (0, size - 1):
            status = HTTPStatus.OK
        else:
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        with path.open("rb") as blob:
            blob.seek(first)
            self._send(status, blob.read(last - first + 1) if self.command == "GET" else b"", headers, last - first + 1)

    _head_blob = _get_blob

    def _delete_blob(self, name: str, digest: str) -> None:
        self.registry.repository(name).blobs.discard(digest)
        self._send(HTTPStatus.ACCEPTED)

    def _post_upload(self, name: str, upload: str) -> None:
        if upload:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "POST starts an upload")
        repository = self.registry.repository(name)
        if mounted := self.query.get("mount"):
            source = self.registry.repositories.get(self.query.get("from", ""))
            if source is not None and mounted in source.blobs:
                repository.blobs.add(mounted)
                return self._send_created(f"/v2/{name}/blobs/{mounted}", mounted)
        identifier = str(uuid.uuid4())
        with self.registry.lock:
            self.registry.uploads[identifier] = self.registry.storage / f"upload-{identifier}"
        self.registry.uploads[identifier].touch()
        if "digest" in self.query:
            return self._put_upload(name, identifier)
        return self._send_upload(name, identifier)

    def _patch_upload(self, name: str, identifier: str) -> None:
        with self._upload(identifier).open("ab") as upload:
            self._receive(upload)
        self._send_upload(name, identifier)

    def _put_upload(self, name: str, identifier: str) -> None:
        path = self._upload(identifier)
        with path.open("ab") as upload:
            self._receive(upload)
        with self.registry.lock:
            self.registry.uploads.pop(identifier, None)
        with path.open("rb") as upload:
            actual = f"sha256:{hashlib.file_digest(upload, 'sha256').hexdigest()}"
        wanted = self.query.get("digest", "")
        if actual != wanted:
            path.unlink()
            raise _Refused(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the content is {actual}, not {wanted}")
        path.rename(self.registry.blob_path(actual))
        self.registry.repository(name).blobs.add(actual)
        self._send_created(f"/v2/{name}/blobs/{actual}", actual)

    def _get_upload(self, name: str, identifier: str) -> None:
        self._upload(identifier)
        self._send_upload(name, identifier, HTTPStatus.NO_CONTENT)

    def _delete_upload(self, _name: str, identifier: str) -> None:
        self._upload(identifier).unlink()
        self.registry.uploads.pop(identifier)
        self._send(HTTPStatus.NO_CONTENT)

    def _upload(self, identifier: str) -> Path:
        path = self.registry.uploads.get(identifier)
        if path is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", f"no upload {identifier}")
        return path

    # --- manifests and tags -----------------------------------------------------------------------------------------

    def _get_manifest(self, name: str, reference: str) -> None:
        repository = self.registry.repository(name)
        digest = repository.tags.get(reference, reference)
        if digest not in repository.manifests:
            raise _Refused(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        media_type, body = repository.manifests[digest]
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        if self.command == "GET":
            agent = self.headers.get("User-Agent", "")
            self.registry.notify("pull", name, reference, digest, media_type, len(body), agent=agent)
        self._send(HTTPStatus.OK, body if self.command == "GET" else b"", headers, len(body))

    _head_manifest = _get_manifest

    def _put_manifest(self, name: str, reference: str) -> None:
        body = b"".join(self._body())
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if DIGEST.match(reference) and reference != digest:
            raise _Refused(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", f"the manifest is {digest}, not {reference}")
        try:
            manifest = json.loads(body)
        except ValueError as err:
            raise _Refused(HTTPStatus.BAD_REQUEST, "MANIFEST_INVALID", str(err)) from err
        repository = self.registry.repository(name)
        named = [entry["digest"] for entry in (manifest.get("config"), *manifest.get("layers", ())) if entry]
        missing = [blob for blob in named if blob not in repository.blobs]
        missing += [e["digest"] for e in manifest.get("manifests", ()) if e["digest"] not in repository.manifests]
        if missing:
            raise _Refused(HTTPStatus.BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", f"{name} does not hold {missing[0]}")
        media_type = self.headers.get("Content-Type") or manifest.get("mediaType", "")
        with self.registry.lock:
            repository.manifests[digest] = (media_type, body)
            if reference != digest:
                repository.tags[reference] = digest
        self.registry.notify("push", name, reference, digest, media_type, len(body))
        self._send_created(f"/v2/{name}/manifests/{digest}", digest)

    def _delete_manifest(self, name: str, reference: str) -> None:
        repository = self.registry.repository(name)
        if reference in repository.tags:
            del repository.tags[reference]
        elif repository.manifests.pop(reference, None) is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        else:
            repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != reference}
        self._send(HTTPStatus.ACCEPTED)

    def _get_tags(self, name: str) -> None:
        if name not in self.registry.repositories:
            raise _Refused(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", f"no repository {name}")
        tags = sorted(tag for tag in self.registry.repository(name).tags if tag > self.query.get("last", ""))
        self._send_json({"name": name, "tags": tags[: int(self.query.get("n", len(tags)))]})

    # --- the wire ---------------------------------------------------------------------------------------------------

    def _body(self) -> Iterator[bytes]:
        """The blocks of the request's body, of either transfer encoding."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.received += size
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0) - self.received
        while left > 0:
            block = self.rfile.read(min(left, _BLOCK))
            if not block:
                return
            left -= len(block)
            self.received += len(block)
            yield block

    def _receive(self, target: BinaryIO) -> None:
        for block in self._body():
            target.write(block)

    def _drain(self) -> None:
        """Read what is left of a refused request, so that the connection stays usable."""
        if "chunked" in self.headers.get("Transfer-Encoding", "") and self.received:
            self.close_connection = True
            return
        for _ in self._body():
            continue

    def _send_upload(self, name: str, identifier: str, status: HTTPStatus = HTTPStatus.ACCEPTED) -> None:
        size = self.registry.uploads[identifier].stat().st_size
        location = f"/v2/{name}/blobs/uploads/{identifier}"
        self._send(
            status, b"", {"Location": location, "Docker-Upload-UUID": identifier, "Range": f"0-{max(size - 1, 0)}"}
        )

    def _send_created(self, location: str, digest: str) -> None:
        self._drain()
        self._send(HTTPStatus.CREATED, b"", {"Location": location, "Docker-Content-Digest": digest})

    def _send_json(self, document: object) -> None:
        self._send(HTTPStatus.OK, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(
        self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        recorded = Request(method=self.command, path=self.path, status=status, received_bytes=self.received)
        with self.registry.lock:
            self.registry.requests.append(recorded)
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _range(header: str | None, size: int) -> tuple[int, int]:
    """The first and the last byte of a single-range request; the whole for none, or one that is not understood."""
    found = re.match(r"^bytes=(\d+)-(\d*)$", header or "") or re.match(r"^bytes=(-)(\d+)$", header or "")
    if not found or not size:
        return 0, size - 1
    first, last = found.groups()
    if first == "-":
        return max(size - int(last), 0), size - 1
    return min(int(first), size - 1), min(int(last or size - 1), size - 1)
