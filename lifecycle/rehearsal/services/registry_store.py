"""What the stand-in registry holds: blobs in a folder, manifests and tags in memory, and a record of requests."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it was answered; `received_bytes` counts the body."""

    method: str
    path: str
    status: int
    received_bytes: int


@dataclass(slots=True)
class Repository:
    """What one repository holds: blobs by digest, manifests by digest (media type, bytes), tags."""

    blobs: set[str] = field(default_factory=set)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class RegistryStore:
    """The content of one registry, kept for as long as the object lives; `events_url` gets registry notifications."""

    def __init__(self, storage: Path, *, events_url: str | None = None) -> None:
        self.storage = storage
        self.storage.mkdir(parents=True, exist_ok=True)
        self.events_url = events_url
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Path] = {}
        self.requests: list[Request] = []
        self.lock = threading.RLock()

    def blob_path(self, digest: str) -> Path:
        return self.storage / digest.replace(":", "-")

    def repository(self, name: str) -> Repository:
        with self.lock:
            return self.repositories.setdefault(name, Repository())

    def notify(
        self, action: str, name: str, reference: str, digest: str, media_type: str, size: int, *, agent: str = ""
    ) -> None:
        """Tell `events_url` of the `push` or the `pull` of a manifest, in the form of the distribution's notifications."""
        if self.events_url is None:
            return
        target = {"mediaType": media_type, "digest": digest, "size": size, "repository": name}
        if not DIGEST.match(reference):
            target["tag"] = reference
        request = {"method": "PUT" if action == "push" else "GET", "useragent": agent}
        event = {"id": str(uuid.uuid4()), "action": action, "target": target, "request": request}
        body = json.dumps({"events": [event]}).encode()
        headers = {"Content-Type": "application/vnd.docker.distribution.events.v1+json"}
        try:
            urllib.request.urlopen(urllib.request.Request(self.events_url, body, headers), timeout=5).close()
        except OSError:
            return  # as the distribution's registry, a push does not fail because a listener is away
