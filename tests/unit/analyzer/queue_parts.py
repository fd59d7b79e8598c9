"""A queue and a clock of the test's own, and a worker at them; time passes only where the test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from analyzer.contract import ExitCode, JobRequest
from analyzer.interrupt import StopRequest
from analyzer.lease import Lease
from analyzer.sqs import Message, Reason
from analyzer.tries import Tries
from analyzer.worker import Run, Settings, Worker

ENVIRONMENT = {"RESULT_URL": "s3://results/all/", "BACKEND": "null", "VIDEO_URL": "s3://never/used"}
JOB = json.dumps({"video_url": "s3://videos/a.mp4", "session_id": "a", "sample_fps": 5})


@dataclass
class Queue:
    """One queue in memory: what is hidden for 0 seconds comes again at once, as a copy received once more."""

    clock_s: float = 0.0
    waiting: list[Any] = field(default_factory=list)
    has_poison_queue: bool = True
    said: list[tuple[str, Any]] = field(default_factory=list)
    buried: list[tuple[Message, Reason]] = field(default_factory=list)
    fault: Exception | None = None

    def clock(self) -> float:
        return self.clock_s

    def send(self, body: str, receives: int = 1) -> Queue:
        self.waiting.append(Message(id=f"m{len(self.waiting)}", body=body, receipt="r", receives=receives))
        return self

    def receive(self, visibility_s: int) -> Message | None:
        if not self.waiting:
            self.clock_s += 20
            return None
        item = self.waiting.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def hide(self, message: Message, visibility_s: int) -> None:
        self._fail()
        self.said.append(("hide", visibility_s))
        if not visibility_s:
            self.waiting.append(replace(message, receives=message.receives + 1))

    def delete(self, message: Message) -> None:
        self._fail()
        self.said.append(("delete", message.id))

    def bury(self, message: Message, reason: Reason) -> bool:
        if self.has_poison_queue:
            self.buried.append((message, reason))
        return self.has_poison_queue

    def _fail(self) -> None:
        if self.fault:
            raise self.fault


@dataclass
class Bench:
    """A worker at `queue` whose job is `job`; `ran` has the requests and `events` the log."""

    queue: Queue
    job: Run = lambda *_: None
    once: bool = True
    idle_exit_s: float | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    ran: list[JobRequest] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)

    def work(self) -> ExitCode:
        @contextmanager
        def keep(lease: Lease) -> Iterator[None]:
            self.leases.append(lease)
            yield

        def run(request: JobRequest, stop: StopRequest, tries: Tries) -> None:
            self.ran.append(request)
            self.job(request, stop, tries)

        def pause(seconds: float) -> None:
            self.queue.clock_s += seconds

        settings = Settings(visibility_s=90, receives_max=3, once=self.once, idle_exit_s=self.idle_exit_s)
        return Worker(
            self.queue,
            run,
            settings,
            environment=self.environment,
            log=lambda name, **fields: self.events.append({"event": name, **fields}),
            clock=self.queue.clock,
            pause=pause,
            keep=keep,
        ).work()


def raising(error: BaseException) -> Callable[..., None]:
    def job(*_: object) -> None:
        raise error

    return job


def event(*keys: str, version: str = "", name: str = "ObjectCreated:Put") -> str:
    more = {"versionId": version} if version else {}
    objects = [{"bucket": {"name": "videos"}, "object": {"key": key, "eTag": "e1", **more}} for key in keys]
    return json.dumps({"Records": [{"eventName": name, "s3": each} for each in objects]})
