"""What a rehearsal left on this machine, found by its id: processes, containers, mounts and images of the container engine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lifecycle.domain.digest import brief
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE

REHEARSAL_LABEL = "capctl.rehearsal"
# What every base image has, and every code image takes over from its base.
_CAPCTL_LABEL = "dev.capctl."
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Leftover:
    """One thing that survived. `name` is a pid, a container id, a mount point or an image's name; `detail` says what it is."""

    kind: Literal["container", "process", "mount", "image"]
    name: str
    detail: str


def find(rehearsal: str, state: Path | None = None, *, registry: str | None = None) -> list[Leftover]:
    """Everything of the rehearsal that still exists, this process and its ancestors apart.

    Processes count when they were started with the rehearsal's mark, or live in a pid namespace that such a process made, or hold a
    mount below `state`, the rehearsal's directory. What a person started by hand on a terminal is his own, mark or not, and so is what
    runs in the session of this process, such as the reader of its output.
    Mounts of the host's own namespace below `state` count, and images of capctl whose names begin with `registry`, the `host:port` of
    the rehearsal's: the port alone may be another registry's by now. So do those that were loaded to be run by hand, whose repository
    ends with the rehearsal's id.
    """
    return [*_containers(rehearsal), *_processes(rehearsal, state), *_mounts(state), *_images(rehearsal, registry)]


def remove(
    rehearsal: str,
    state: Path | None = None,
    *,
    registry: str | None = None,
    wait_s: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Leftover]:
    """Remove what `find` finds: containers, then processes (SIGKILL), then mounts, then names of images.

    Returns: what is still there after `wait_s` seconds, normally nothing.
    """
    for _ in range(max(1, int(wait_s / 0.1))):
        found = find(rehearsal, state, registry=registry)
        if not found:
            return []
        for leftover in found:
            _REMOVERS[leftover.kind](leftover.name)
        sleep(0.1)
    return find(rehearsal, state, registry=registry)


def _processes(rehearsal: str, state: Path | None) -> Iterator[Leftover]:
    mark = f"{REHEARSAL_VARIABLE}={rehearsal}".encode()
    own = _ancestry(os.getpid())
    own_namespace = _namespace(os.getpid())
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal() and int(entry.name) not in own]
    marked = {pid for pid in pids if mark in _read(pid, "environ").split(b"\0") and _is_apart(pid)}
    # A daemon may overwrite its environment (sshd does), and sudo clears it; their pid namespace stays.
    namespaces = {_namespace(pid) for pid in marked} | {_namespace_of_children(pid) for pid in marked}
    namespaces -= {own_namespace, ""}
    below = f" {state}/".encode() if state else None
    for pid in pids:
        inside = _namespace(pid) in namespaces
        holds = below is not None and _namespace(pid) != own_namespace and below in _read(pid, "mountinfo")
        if pid in marked or inside or holds:
            command = _read(pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
            yield Leftover(kind="process", name=str(pid), detail=command or "(no command line)")


def _containers(rehearsal: str) -> Iterator[Leftover]:
    with _engine() as engine:
        if engine:
            label = {"label": f"{REHEARSAL_LABEL}={rehearsal}"}
            for container in engine.containers.list(all=True, filters=label):
                yield Leftover(
                    kind="container", name=str(container.id), detail=f"{container.name} ({container.status})"
                )


def _images(rehearsal: str, registry: str | None) -> Iterator[Leftover]:
    """Every name by tag or digest. What the engine keeps of a build without a name is its cache, and not found here."""
    with _engine() as engine:
        for image in engine.api.images() if engine else ():
            if not any(label.startswith(_CAPCTL_LABEL) for label in image.get("Labels") or ()):
                continue
            for name in sorted((*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ()))):
                is_pulled = registry is not None and name.startswith(f"{registry}/")
                if is_pulled or name.partition(":")[0].endswith(f"-{rehearsal}"):
                    yield Leftover(kind="image", name=name, detail=brief(str(image["Id"])))


@contextmanager
def _engine() -> Iterator[Any]:
    """A client of the container engine, or None where no engine answers: then there is nothing of it either."""
    import docker

    try:
        engine = docker.from_env(timeout=30)
        engine.ping()
    except docker.errors.DockerException as error:
        if isinstance(error, docker.errors.APIError):
            raise
        yield None
        return
    try:
        yield engine
    finally:
        engine.close()


def _mounts(state: Path | None) -> Iterator[Leftover]:
    if state is None:
        return
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point.startswith(f"{state}/"):
            yield Leftover(kind="mount", name=point, detail=line.rpartition(" - ")[2].split(" ")[0])


def _remove_container(name: str) -> None:
    import docker

    with _engine() as engine, suppress(docker.errors.APIError):  # gone, or going
        if engine:
            engine.containers.get(name).remove(v=True, force=True)


def _remove_image(name: str) -> None:
    import docker

    # Without its parents: the next build of the base, of this rehearsal or another one, finds them in the engine's cache.
    with _engine() as engine, suppress(docker.errors.APIError):  # gone, or a container of it is going
        if engine:
            engine.images.remove(name, noprune=True)


def _kill(name: str) -> None:
    try:
        os.kill(int(name), signal.SIGKILL)
    except ProcessLookupError:
        return


def _unmount(name: str) -> None:
    subprocess.run(["umount", "--lazy", name], check=False, capture_output=True)


_REMOVERS: dict[str, Callable[[str], None]] = {
    "container": _remove_container,
    "process": _kill,
    "mount": _unmount,
    "image": _remove_image,
}


def _ancestry(pid: int) -> set[int]:
    found = set()
    while pid > 0 and pid not in found:
        found.add(pid)
        status = _read(pid, "status").decode("utf-8", "replace")
        pid = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")), 0)
    return found


def _is_apart(pid: int) -> bool:
    """Whether the process has neither a terminal nor the session of this one, as nothing has that a rehearsal leaves."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return len(fields) > 4 and fields[4] == b"0" and int(fields[3]) != os.getsid(0)


def _namespace(pid: int) -> str:
    return _link(pid, "ns/pid")


def _namespace_of_children(pid: int) -> str:
    return _link(pid, "ns/pid_for_children")


def _link(pid: int, name: str) -> str:
    try:
        return str((_PROC / str(pid) / name).readlink())
    except OSError:
        return ""


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
