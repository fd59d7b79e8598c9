"""The stand-in for a job's container where no engine answers: the image's code as a process of this machine.

The code, the environment, the models, the command, the exit code, the signals and the log are those of the container. The interpreter
and its packages are the emulator's own, and limits of memory and CPU, a read-only root and the image's base are not applied.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.domain.job import contract
from lifecycle.rehearsal.emulator.code_layer import APP_FOLDER, ImageCode, read_code, unpack
from lifecycle.rehearsal.emulator.containers import CannotStart, ContainerSpec, Exit, Mount

_PYTHON = re.compile(r"^python(3(\.\d+)?)?$")
_USER = 65532  # where the image names none, or names root, which could write to the models
# Reading only: a job of another user must reach an interpreter below root's home, and must not be able to write there.
_RIGHTS = (
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)


@dataclass(slots=True)
class RunningProcess:
    """A started process group; its lines reach `on_line` as they are written."""

    process: subprocess.Popen[bytes]
    home: Path
    on_line: Callable[[str], None]
    _follower: threading.Thread | None = field(default=None)

    def follow(self) -> None:
        self._follower = threading.Thread(target=self._follow, name=f"log-{self.process.pid}", daemon=True)
        self._follower.start()

    def _follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.on_line(line.decode("utf-8", "replace").rstrip("\r\n"))

    def wait(self) -> Exit:
        """Block until the process has ended and its last line was passed on."""
        code = self.process.wait()
        self._signal(signal.SIGKILL)  # what it started ends with it, as in a container
        if self._follower is not None:
            self._follower.join(timeout=10)
        return Exit(exit_code=code if code >= 0 else 128 - code, reason=None)

    def stop(self, grace_s: int) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def remove(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()
        remove_tree(self.home)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def start(spec: ContainerSpec, on_line: Callable[[str], None], *, why: str, home: Path) -> RunningProcess:
    """Fetch the code, lay out what the container would see below `home`, and start; `why` goes into the log.

    Raises: containers.CannotPull, containers.CannotStart.
    """
    code, root = read_code(spec.image), home / "root"
    try:
        root.mkdir(parents=True)
        unpack(code, root)
        for mount in spec.mounts:
            _show(mount, root)
        command = _command(spec, code)
        prefix = _as_user(str(spec.properties.get("user") or code.run.get("User") or ""))
        on_line(f"[{why}; this job runs as a process of this machine]")
        running = RunningProcess(
            subprocess.Popen(
                [*prefix, *command],
                cwd=_inside(root, str(code.run.get("WorkingDir") or f"/{APP_FOLDER}")),
                env=_environment(spec, code, root),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ),
            home,
            on_line,
        )
    except OSError as err:
        remove_tree(home)
        message = f"CannotStartContainerError: {err}"
        raise CannotStart(message) from err
    except CannotStart:
        remove_tree(home)
        raise
    running.follow()
    return running


def remove_tree(folder: Path) -> None:
    """Delete a folder, also one whose owner took its own write permission away."""
    for path, _, _ in os.walk(folder):
        with suppress(PermissionError):
            Path(path).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _show(mount: Mount, root: Path) -> None:
    """Make the mount's source visible at its place below `root`; a read-only folder as one that nobody may write to."""
    place = _inside(root, mount.target)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not mount.read_only:
        place.symlink_to(mount.source)
        return
    if not Path(mount.source).is_dir():
        # A job may insist on regular files, which a mounted one is to it.
        _link(mount.source, str(place))
        return
    shutil.copytree(mount.source, place, symlinks=True, copy_function=_link)
    for folder, _, _ in os.walk(place, topdown=False):
        Path(folder).chmod(0o555)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError as err:
        if err.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copy2(source, target)


def _command(spec: ContainerSpec, code: ImageCode) -> list[str]:
    words = [*(spec.entrypoint or code.run.get("Entrypoint") or ()), *(spec.command or code.run.get("Cmd") or ())]
    if not words:
        message = "CannotStartContainerError: no command is specified"
        raise CannotStart(message)
    program = Path(words[0]).name
    return [sys.executable if _PYTHON.match(program) else words[0], *words[1:]]


def _environment(spec: ContainerSpec, code: ImageCode, root: Path) -> dict[str, str]:
    image = dict(line.partition("=")[::2] for line in code.run.get("Env") or ())
    given = {**image, contract.Env.MODEL_ROOT: contract.DEFAULT_MODEL_ROOT, **spec.environment}
    places = (f"/{APP_FOLDER}", contract.DEFAULT_MODEL_ROOT, *(mount.target for mount in spec.mounts))
    shown = {name: _shown(value, places, root) for name, value in given.items()}
    return {**shown, "PYTHONPATH": str(root / APP_FOLDER), "PATH": os.environ.get("PATH", os.defpath)}


def _shown(value: str, places: tuple[str, ...], root: Path) -> str:
    """A path of the container as the process finds it; anything else as it is."""
    below = any(value == place or value.startswith(f"{place}/") for place in places)
    return str(_inside(root, value)) if below else value


def _inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _as_user(user: str) -> tuple[str, ...]:
    """The prefix that takes root's rights away: root could write to every read-only folder. None is needed for others."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        message = "CannotStartContainerError: `setpriv` is not installed, and a job must not run as root"
        raise CannotStart(message)
    name = user.partition(":")[0]
    number = int(name) if name.isdecimal() and int(name) else _USER
    return ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs", *_RIGHTS)
