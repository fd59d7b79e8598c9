"""The container registry on a port of loopback: Debian's `docker-registry`, or the stand-in where that is missing."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from lifecycle.rehearsal.child import Child, PartFailed, free_port

_PROGRAMS = ("docker-registry", "registry")
_STAND_IN = "lifecycle.rehearsal.services.registry_standin"
_START_TIMEOUT_S = 20.0


def registry_supported() -> str | None:
    """Why the real registry cannot run here, or None."""
    return None if _program() else "neither `docker-registry` nor `registry` is installed"


class RunningRegistry:
    """A registry as a process of its own; ends with the `with` block. `real` says whether it is the distribution's own server."""

    def __init__(self, command: Sequence[str], *, port: int, log: Path, rehearsal: str, real: bool) -> None:
        """Start it and wait until it answers. Raises: PartFailed."""
        self.port = port
        self.real = real
        self._child = Child("registry", command, log=log, rehearsal=rehearsal)
        self._child.await_ready(lambda: answers(self.address), timeout_s=_START_TIMEOUT_S)

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def close(self) -> None:
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_registry(state: Path, rehearsal: str, *, port: int = 0, events_url: str | None = None) -> RunningRegistry:
    """The real registry where it is installed, else the stand-in. `events_url` is told of every push. Raises: PartFailed."""
    start = debian_registry if _program() else standin_registry
    return start(state, rehearsal, port=port, events_url=events_url)


def debian_registry(state: Path, rehearsal: str, *, port: int = 0, events_url: str | None = None) -> RunningRegistry:
    """The distribution's registry with its storage below `state`. Raises: PartFailed."""
    program = _program()
    if program is None:
        message = f"the registry cannot start: {registry_supported()}"
        raise PartFailed(message, hint="Install it with `apt-get install docker-registry`")
    port = port or free_port()
    storage, configuration = state / "storage", state / "registry.yml"
    storage.mkdir(parents=True, exist_ok=True)
    configuration.write_text(registry_configuration(port, storage, events_url))
    command = [program, "serve", str(configuration)]
    return RunningRegistry(command, port=port, log=state / "registry.log", rehearsal=rehearsal, real=True)


def standin_registry(state: Path, rehearsal: str, *, port: int = 0, events_url: str | None = None) -> RunningRegistry:
    """The stand-in with its blobs below `state`. Raises: PartFailed."""
    port = port or free_port()
    command = [sys.executable, "-m", _STAND_IN, "--port", str(port), "--storage", str(state / "blobs")]
    command += ["--events-url", events_url] if events_url else []
    return RunningRegistry(command, port=port, log=state / "registry.log", rehearsal=rehearsal, real=False)


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
