"""The container registry: Debian's `docker-registry` on a port of loopback, or a small one in this process where it is missing."""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from lifecycle.rehearsal.child import Child, PartFailed, free_port
from lifecycle.rehearsal.services.registry_standin import StandInRegistry

_PROGRAMS = ("docker-registry", "registry")
_START_TIMEOUT_S = 20.0


class RunningRegistry(Protocol):
    """What either registry offers; `address` is `127.0.0.1:port`, `real` says whether it is the distribution's own server."""

    real: bool

    @property
    def address(self) -> str: ...

    def close(self) -> None: ...


def registry_supported() -> str | None:
    """Why the real registry cannot run here, or None."""
    return None if _program() else "neither `docker-registry` nor `registry` is installed"


def start_registry(state: Path, rehearsal: str, *, port: int = 0, events_url: str | None = None) -> RunningRegistry:
    """The real registry where it is installed, else the stand-in. `events_url` is told of every push. Raises: PartFailed."""
    if _program():
        return DebianRegistry(state, rehearsal, port=port, events_url=events_url)
    return StandInRegistry(state / "blobs", port=port, events_url=events_url)


class DebianRegistry:
    """The distribution's registry as a process of its own; ends with the `with` block."""

    real = True

    def __init__(self, state: Path, rehearsal: str, *, port: int = 0, events_url: str | None = None) -> None:
        """Start it with its storage below `state`. Raises: PartFailed."""
        program = _program()
        if program is None:
            message = f"the registry cannot start: {registry_supported()}"
            raise PartFailed(message, hint="Install it with `apt-get install docker-registry`")
        self.port = port or free_port()
        storage = state / "storage"
        storage.mkdir(parents=True, exist_ok=True)
        configuration = state / "registry.yml"
        configuration.write_text(registry_configuration(self.port, storage, events_url))
        command = [program, "serve", str(configuration)]
        self._child = Child("registry", command, log=state / "registry.log", rehearsal=rehearsal)
        self._child.await_ready(lambda: answers(self.address), timeout_s=_START_TIMEOUT_S)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def close(self) -> None:
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def registry_configuration(port: int, storage: Path, events_url: str | None) -> str:
    """The configuration file. JSON, because every JSON document is YAML too."""
    configuration: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "relativeurls": True},
    }
    if events_url:
        endpoint = {"name": "ecr", "url": events_url, "timeout": "2s", "threshold": 3, "backoff": "1s"}
        configuration["notifications"] = {"endpoints": [endpoint]}
    return json.dumps(configuration, indent=1) + "\n"


def answers(address: str) -> bool:
    """Whether a registry answers at `host:port`."""
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _program() -> str | None:
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
