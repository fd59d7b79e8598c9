"""A server from its first socket to its exit code."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from analyzer.commands.job import report_failure, report_success
from analyzer.contract import Env, ExitCode, Location, ModelRequest
from analyzer.errors import Interrupted, Mismatch
from analyzer.interrupt import StopRequest
from analyzer.job import Analyzer
from analyzer.metrics import Metrics
from analyzer.progress import Advance, Progress
from analyzer.server.analyses import Analyses, Run
from analyzer.server.app import make_app
from analyzer.server.readiness import Readiness
from analyzer.store.open import open_store
from analyzer.store.place import place_at
from analyzer.submission import request_of

# Of the ten seconds that a stop signal leaves: for open connections, and then for the running job's next safe point.
CONNECTIONS_S = 2
JOB_S = 6.5


def listen(
    models: ModelRequest,
    environment: Mapping[str, str],
    *,
    host: str,
    port: int,
    room: int,
    allow_path: Path | None,
    progress: Progress,
) -> ExitCode:
    """Serve until a signal. Returns 75 when work was cut off, the code of what kept the models from loading, else 0.

    Raises: Mismatch, when the address cannot be listened on.
    """
    with closing(_bind(host, port)) as bound:
        metrics, server = Metrics(), _Server()
        analyses = Analyses(_loader(models, metrics), room=room, on_load_failed=server.end)
        readiness = Readiness(store_look(environment))
        app = make_app(analyses, metrics, environment=environment, allow_path=allow_path, readiness=readiness)
        address, chosen = bound.getsockname()[:2]
        if ipaddress.ip_address(address) == ipaddress.IPv4Address("127.0.0.1"):
            # A page in this machine's browser may call itself anything that resolves to loopback.
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        url = f"http://{f'[{address}]' if ':' in address else address}:{chosen}"
        progress.event("listening", text=f"listening on {url}", url=url)
        server.run(app, bound, on_signal=analyses.stop)
    cut_off = analyses.close(JOB_S)
    exit_code = ExitCode.INTERRUPTED if cut_off else ExitCode.OK
    failure = analyses.load_failure
    if failure is not None and failure.exit_code is not ExitCode.INTERRUPTED:
        progress.event("failed", code=failure.code, exit_code=int(failure.exit_code), message=failure.message)
        return failure.exit_code
    if analyses.is_busy:
        # A model's call cannot be cut off, and the interpreter would wait for its thread; what is committed stays.
        progress.event("cut-off", text="ended within a model's call", exit_code=int(exit_code))
        os._exit(exit_code)
    return exit_code


class _Server:
    """uvicorn on a socket that is bound already, so that what is wrong with an address is told before anything begins."""

    def __init__(self) -> None:
        self._running: Any = None
        self._ended = False

    def run(self, app: Any, bound: socket.socket, *, on_signal: Callable[[], None]) -> None:
        """Serve until a stop signal or `end`; `on_signal` is called in the signal's handler, before connections are closed."""
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=CONNECTIONS_S, server_header=False
        )
        running = uvicorn.Server(config)
        closing_connections = running.handle_exit

        def stop(number: int, frame: FrameType | None) -> None:
            on_signal()
            closing_connections(number, frame)

        running.handle_exit = stop
        self._running = running
        running.should_exit = self._ended
        # When it has ended well, uvicorn raises the signal that ended it once more.
        with suppress(Interrupted):
            running.run(sockets=[bound])

    def end(self) -> None:
        """End soon; from any thread, also before `run`."""
        self._ended = True
        if self._running is not None:
            self._running.should_exit = True


def store_look(environment: Mapping[str, str]) -> Callable[[], None]:
    """What looks at the service's own store once, and raises what keeps it from being written."""
    probe = request_of({"video_url": "s3://readiness/probe", "session_id": "readiness"}, environment)
    place = place_at(Location.parse(environment[Env.RESULT_URL], name=f"`{Env.RESULT_URL}`"))

    def look() -> None:
        with closing(open_store(probe, place)) as store:
            store.check()
        place.check()

    return look


def _loader(models: ModelRequest, metrics: Metrics) -> Callable[[StopRequest], Run]:
    def load(stop: StopRequest) -> Run:
        analyzer = Analyzer.load(models, Progress(watch=lambda _: stop.check()), metrics)

        def run(request: Any, watch: Callable[[Advance], None]) -> dict[str, Any]:
            progress = Progress(session_id=request.session_id, watch=watch)
            try:
                document = analyzer.run(request, progress)
            except (Exception, Interrupted) as error:
                report_failure(progress, error)
                raise
            report_success(progress, document, request.result.url)
            return document

        return run

    return load


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        what = f"`{host}:{port}` cannot be listened on: {error}"
        raise Mismatch("address-unusable", what, hint="Name another `--host` or `--port`") from error
