"""The container of one job attempt: what Batch asks of the ECS agent, done with the local container engine."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ECR_NAME = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/")
REHEARSAL_LABEL = "capctl.rehearsal"
_ENGINE_TIMEOUT_S = 3600  # the engine sends nothing while a silent container runs
_MOST_REASON = 1024  # AWS cuts a reason at this length


class CannotPull(Exception):
    """The engine has no such image and cannot get it; the text is the reason as ECS gives it."""


class CannotStart(Exception):
    """The engine refused to create or start the container; the text is the reason as ECS gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What to run. `properties` are the containerProperties with the overrides applied; `image` is the name to pull.

    Batch leaves an image its entry point; a service of ECS may give it another.
    """

    name: str
    image: str
    always_pull: bool
    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Sequence[Mount]
    properties: Mapping[str, Any]
    rehearsal: str
    entrypoint: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    exit_code: int
    reason: str | None


class Running(Protocol):
    """A started job, however it runs here."""

    def wait(self) -> Exit: ...

    def stop(self, grace_s: int) -> None: ...

    def remove(self) -> None: ...


def jobs_supported() -> str | None:
    """Why no job can run in a container on this machine, or None if an engine answers."""
    try:
        engine = connect()
    except Exception as err:
        return f"no container engine: {err}"
    engine.close()
    return None


def connect() -> Any:
    """A client of the local container engine. Raises whatever the client raises when there is none."""
    import docker

    engine = docker.from_env(timeout=_ENGINE_TIMEOUT_S)
    try:
        engine.ping()
    except Exception:
        engine.close()
        raise
    return engine


def local_name(image: str, registry: str | None) -> str:
    """The name by which the engine finds an image of ECR: the same repository in the registry on loopback."""
    return ECR_NAME.sub(f"{registry}/", image) if registry else image


def engine_options(properties: Mapping[str, Any], requirements: Mapping[str, str]) -> dict[str, Any]:
    """The engine's arguments for what a job definition demands; `requirements` are the resourceRequirements by type.

    A GPU is not asked of the engine: the rehearsal machine has none, and the job's own check of its backend decides.
    """
    import docker

    linux = properties.get("linuxParameters") or {}
    options: dict[str, Any] = {"privileged": bool(properties.get("privileged")), "network_mode": "host"}
    if memory := int(requirements.get("MEMORY") or properties.get("memory") or 0):
        options["mem_limit"] = f"{memory}m"
        swap = linux.get("maxSwap")
        options["memswap_limit"] = f"{memory + int(swap)}m" if swap is not None else f"{memory * 2}m"
    if vcpus := float(requirements.get("VCPU") or properties.get("vcpus") or 0):
        options["cpu_shares"] = int(vcpus * 1024)
    if properties.get("user"):
        options["user"] = properties["user"]
    if properties.get("readonlyRootFilesystem"):
        options["read_only"] = True
    if properties.get("ulimits"):
        options["ulimits"] = [
            docker.types.Ulimit(name=limit["name"], soft=limit["softLimit"], hard=limit["hardLimit"])
            for limit in properties["ulimits"]
        ]
    if linux.get("initProcessEnabled"):
        options["init"] = True
    if linux.get("sharedMemorySize"):
        options["shm_size"] = f"{linux['sharedMemorySize']}m"
    if linux.get("tmpfs"):
        options["tmpfs"] = {
            entry["containerPath"]: ",".join([f"size={entry['size']}m", *entry.get("mountOptions", [])])
            for entry in linux["tmpfs"]
        }
    return options


@dataclass(slots=True)
class RunningContainer:
    """A started container; its lines reach `on_line` as they are written."""

    container: Any
    engine: Any
    on_line: Callable[[str], None]
    _follower: threading.Thread | None = field(default=None)
    _received_bytes: int = 0
    _rest: bytes = b""

    @property
    def id(self) -> str:
        return str(self.container.id)

    def follow(self) -> None:
        self._follower = threading.Thread(target=self._follow, name=f"log-{self.id[:12]}", daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        for chunk in self.container.logs(stream=True, follow=True):
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        self._received_bytes += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self.on_line(line.decode("utf-8", "replace").rstrip("\r"))

    def wait(self) -> Exit:
        """Block until the container has ended and its last line was passed on."""
        code = int(self.container.wait()["StatusCode"])
        if self._follower is not None:
            self._follower.join(timeout=10)
        # The engine may end a stream that is followed before the container's last bytes.
        self._take(self.container.logs()[self._received_bytes :])
        if self._rest:
            self.on_line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        self.container.reload()
        if self.container.attrs["State"].get("OOMKilled"):
            return Exit(exit_code=code, reason="OutOfMemoryError: Container killed due to memory usage")
        return Exit(exit_code=code, reason=None)

    def stop(self, grace_s: int) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds, as the ECS agent does; an ended container stays as it is."""
        import docker

        try:
            self.container.stop(timeout=grace_s)
        except docker.errors.APIError:
            return

    def remove(self) -> None:
        import docker

        try:
            self.container.remove(v=True, force=True)
        except docker.errors.APIError:
            return
        finally:
            self.engine.close()


def start(spec: ContainerSpec, requirements: Mapping[str, str], on_line: Callable[[str], None]) -> RunningContainer:
    """Pull when needed, create and start. Raises: CannotPull, CannotStart."""
    import docker

    engine = connect()
    container = None
    try:
        _ensure_image(engine, spec)
        container = engine.containers.create(
            spec.image,
            list(spec.command) or None,
            name=spec.name,
            entrypoint=list(spec.entrypoint) or None,
            environment=dict(spec.environment),
            labels={REHEARSAL_LABEL: spec.rehearsal},
            mounts=[docker.types.Mount(m.target, m.source, type="bind", read_only=m.read_only) for m in spec.mounts],
            **engine_options(spec.properties, requirements),
        )
        container.start()
    except docker.errors.APIError as err:
        if container is not None:
            container.remove(v=True, force=True)
        engine.close()
        raise CannotStart(_reason("CannotStartContainerError", err)) from err
    except CannotPull:
        engine.close()
        raise
    running = RunningContainer(container, engine, on_line)
    running.follow()
    return running


def _ensure_image(engine: Any, spec: ContainerSpec) -> None:
    import docker

    if not spec.always_pull:
        try:
            engine.images.get(spec.image)
        except docker.errors.ImageNotFound:
            pass
        else:
            return
    try:
        engine.images.pull(spec.image)
    except docker.errors.APIError as err:
        raise CannotPull(_reason("CannotPullContainerError", err)) from err


def _reason(kind: str, err: Any) -> str:
    return f"{kind}: Error response from daemon: {err.explanation or err}"[:_MOST_REASON]
