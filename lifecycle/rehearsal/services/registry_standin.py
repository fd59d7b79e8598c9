"""A small container registry, for machines without the distribution's own. It knows no users, and keeps everything while it runs.

`python -m lifecycle.rehearsal.services.registry_standin --port 5000 --storage DIR` serves until a signal.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Self

from lifecycle.rehearsal.services.registry_calls import RegistryCalls
from lifecycle.rehearsal.services.registry_store import RegistryStore


class StandInRegistry(RegistryStore):
    """The registry; serves from construction to `close`, or for a `with` block."""

    real = False

    def __init__(self, storage: Path | None = None, *, port: int = 0, events_url: str | None = None) -> None:
        """`storage` is a directory for blobs, a temporary one if None."""
        self._temporary = tempfile.TemporaryDirectory(prefix="registry-") if storage is None else None
        super().__init__(Path(self._temporary.name) if self._temporary else Path(str(storage)), events_url=events_url)
        handler = type("Handler", (RegistryCalls,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="registry", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def received_bytes(self) -> int:
        """The bytes of all request bodies."""
        return sum(request.received_bytes for request in self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns: 0, or 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rehearsal.services.registry_standin")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--storage", type=Path, required=True, help="folder for blobs")
    parser.add_argument("--events-url", help="is told of every push")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        registry = StandInRegistry(options.storage, port=options.port, events_url=options.events_url)
    except OSError as error:
        print(f"the registry cannot serve on port {options.port}: {error}", file=sys.stderr)
        return 1
    with registry:
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
