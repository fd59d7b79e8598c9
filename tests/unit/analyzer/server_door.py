"""The HTTP door through its ASGI app, with a job of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from analyzer.contract import JobRequest
from analyzer.metrics import Metrics
from analyzer.progress import Advance
from analyzer.server.analyses import Analyses
from analyzer.server.app import make_app
from analyzer.server.readiness import Readiness

SOON_S = 20


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, parts: list[dict[str, Any]]) -> Answer:
        headers = {name.decode(): value.decode() for name, value in parts[0]["headers"]}
        return cls(parts[0]["status"], headers, b"".join(each.get("body", b"") for each in parts[1:]))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Door:
    """The app and its analyses; each job waits until it is told how it ends."""

    folder: Path
    room: int = 2
    store_fault: Exception | None = None
    now_s: float = 0
    content_type: str = "application/json"
    seen: list[JobRequest] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    told: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    endings: list[Callable[[], dict[str, Any]]] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.analyses = Analyses(lambda _: self._loaded(), room=self.room, on_load_failed=lambda: None)
        environment = {"RESULT_URL": str(self.folder / "results")}

        def check() -> None:
            if self.store_fault:
                raise self.store_fault

        allowed = self.folder / "videos"
        allowed.mkdir()
        readiness = Readiness(check, clock=lambda: self.now_s)
        self.app = make_app(self.analyses, Metrics(), environment=environment, allow_path=allowed, readiness=readiness)

    def _loaded(self) -> Any:
        assert self.ready.wait(SOON_S)
        return self._run

    def _run(self, request: JobRequest, watch: Callable[[Advance], None]) -> dict[str, Any]:
        self.seen.append(request)
        watch(Advance(step="analyse", percent=41.26, fps=99.96, eta_s=3, attempt=2))
        self.begun.release()
        assert self.told.acquire(timeout=SOON_S)
        watch(Advance(step="analyse", percent=50))
        return self.endings.pop(0)()

    def end(self, ending: Callable[[], dict[str, Any]]) -> None:
        self.endings.append(ending)
        self.told.release()

    def asked(
        self, method: str, path: str, body: bytes = b""
    ) -> tuple[Coroutine[Any, Any, None], list[dict[str, Any]]]:
        """One request through the ASGI interface: what makes the app answer, and the messages of its answer."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path.partition("?")[0],
            "raw_path": path.partition("?")[0].encode(),
            "query_string": path.partition("?")[2].encode(),
            "headers": [(b"host", b"t"), (b"content-type", self.content_type.encode())],
        }
        parts: list[dict[str, Any]] = []
        middle = len(body) // 2
        incoming = [
            {"type": "http.request", "body": body[middle:], "more_body": False},
            {"type": "http.request", "body": body[:middle], "more_body": True},
        ]

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            parts.append(message)

        return self.app(scope, receive, send), parts

    def call(self, method: str, path: str, document: Any = None) -> Answer:
        """The answer to a request, whose body is `document`, or its bytes."""
        body = document if isinstance(document, bytes) else b"" if document is None else json.dumps(document).encode()
        answering, parts = self.asked(method, path, body)
        asyncio.run(answering)
        return Answer.of(parts)

    def submit(self, **fields: Any) -> Answer:
        return self.call("POST", "/v1/analyses", {"video_url": "s3://videos/a.mp4", **fields})

    def wait_for(self, name: str, *statuses: str) -> dict[str, Any]:
        for _ in range(2000):
            document = self.call("GET", f"/v1/analyses/{name}").json
            if document["status"] in statuses:
                return dict(document)
            threading.Event().wait(0.005)
        pytest.fail(f"`{name}` does not become {statuses}")


def error_of(answer: Answer) -> tuple[int, str]:
    assert set(answer.json["error"]) == {"code", "message", "hint"}
    return answer.status, answer.json["error"]["code"]
