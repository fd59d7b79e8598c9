"""BuildKit, which the engine's API offers to nobody but a docker command line: found, and asked for the base image."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from images.base.unpack import FIXED_MTIME_S
from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui

# Docker 18.09, the first whose engine has BuildKit without being told to.
_FIRST_API = (1, 39)
# From 23.0 on, a docker command line needs the plugin buildx for it.
_BUILT_IN = range(18, 23)
_TAIL = 15
_ASK_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildKit:
    """A docker command line that builds with BuildKit, by its plugin buildx or by itself."""

    program: str
    has_buildx: bool

    @property
    def name(self) -> str:
        """For messages."""
        return f"`{self.program} buildx`" if self.has_buildx else f"the BuildKit of `{self.program}`"

    def build(self, context: Path, name: str, ui: Ui) -> None:
        """Build `name` into the engine that DOCKER_HOST names, from a context tar that holds its Dockerfile.

        Raises: `CapctlError("engine-failed")` with the last lines; no child is left by an interruption either.
        """
        # `default` is the builder inside the engine: it alone knows the root that was imported there.
        words = ("buildx", "build", "--builder", "default", "--load") if self.has_buildx else ("build",)
        command = [self.program, *words, "--progress", "plain", "--tag", name, "-"]
        tail: deque[str] = deque(maxlen=_TAIL)
        try:
            with context.open("rb") as data, _started(command, data) as child:
                try:
                    for line in child.stdout or ():
                        if text := line.rstrip():
                            tail.append(text)
                            ui.detail(text)
                    status = child.wait()
                except BaseException:
                    try:
                        ui.note(f"Stopping the build of `{name}`")
                    finally:
                        _stop(child)
                    raise
        except OSError as error:
            raise CapctlError("engine-failed", f"`{self.program}` cannot be run: {error.strerror}") from error
        if status:
            raise CapctlError(
                "engine-failed",
                f"The engine failed building `{name}`: {_reason(tail) or f'exit status {status}'}",
                hint="Read what the step says, and check the disk; `image.base.builder: classic` builds without BuildKit",
                details=tuple(tail),
            )


def find_buildkit(wanted: Literal["auto", "buildkit", "classic"], engine: Mapping[str, str]) -> BuildKit | None:
    """The BuildKit to build with, None for the classic builder; `engine` are the headers of the engine's answer to a ping.

    `auto` takes BuildKit unless the engine says that it is set up for the classic builder, or one of the two sides lacks it.
    Raises: `CapctlError("buildkit-missing")`, if it is wanted and not there.
    """
    if wanted == "classic" or (wanted == "auto" and engine.get("Builder-Version") == "1"):
        return None
    found = _command_line() if engine_has_buildkit(engine) else None
    if found is None and wanted == "buildkit":
        who = "No `docker` on PATH has" if engine_has_buildkit(engine) else "The container engine does not offer"
        raise CapctlError(
            "buildkit-missing",
            f"{who} BuildKit, which `image.base.builder` asks for",
            hint="Install docker's plugin buildx, or set `image.base.builder` to `auto` or `classic`",
        )
    return found


def engine_has_buildkit(engine: Mapping[str, str]) -> bool:
    """Whether an engine can build with BuildKit. `Builder-Version` tells which builder it prefers, and older ones tell nothing."""
    if engine.get("Builder-Version") == "2":
        return True
    version = re.fullmatch(r"(\d+)\.(\d+)", engine.get("Api-Version", ""))
    is_docker = engine.get("Server", "").startswith("Docker/") and engine.get("Ostype") == "linux"
    return is_docker and version is not None and (int(version[1]), int(version[2])) >= _FIRST_API


def _command_line() -> BuildKit | None:
    """Of all docker command lines on PATH the first with buildx, else the first with a BuildKit of its own."""
    folders = os.get_exec_path()
    programs = list(dict.fromkeys(found for folder in folders if (found := shutil.which("docker", path=folder))))
    for program in programs:
        if _said(program, "buildx", "version"):
            return BuildKit(program=program, has_buildx=True)
    for program in programs:
        version = re.search(r"version (\d+)\.", _said(program, "--version"))
        if version and int(version[1]) in _BUILT_IN:
            return BuildKit(program=program, has_buildx=False)
    return None


def _said(*command: str) -> str:
    """What a command printed; "" if it failed."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout if ended.returncode == 0 else ""


def _reason(tail: Iterable[str]) -> str:
    """What the failing step said of itself, else what BuildKit says of it."""
    lines = list(tail)[::-1]
    own = (found[1] for line in lines if (found := re.match(r"(?:#\d+ )?[\d.]+ (error: .+)", line)))
    return next(own, next((line for line in lines if re.search(r"(?i)\berror\b|\bfailed\b", line)), ""))


def _started(command: list[str], context: IO[bytes]) -> subprocess.Popen[str]:
    environment = {
        # The engine that the rest of capctl talks to, whatever context the command line is set to.
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        **os.environ,
        "DOCKER_BUILDKIT": "1",
        # An image and nothing beside it: with an attestation the tag would name an index.
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        # The time of the configuration, where BuildKit knows it; the layers have fixed times in any case.
        "SOURCE_DATE_EPOCH": str(FIXED_MTIME_S),
    }
    return subprocess.Popen(
        command,
        stdin=context,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        # A terminal's interrupt is for capctl, which then ends the child.
        start_new_session=True,
    )


def _stop(child: subprocess.Popen[str]) -> None:
    """End a command line and its plugin; the engine gives a build up when nobody listens to it any more.

    Nothing is left for them to do, docker's takes seconds to end by itself, and a second signal would leave them to go on alone.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
