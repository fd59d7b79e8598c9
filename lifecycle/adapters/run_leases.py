"""Runs of bakes on this machine: a locked file for each, so that the kernel says which of them live."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from lifecycle.adapters.private_folder import abandoned, remove_abandoned
from lifecycle.config.target import Target
from lifecycle.domain.moments import told_moment
from lifecycle.domain.sweep import KnownRun
from lifecycle.errors import CapctlError

BAKE_FOLDER = "capctl-bake-"  # what the names of a bake's private folders begin with
_PROC = Path("/proc")


class Lease:
    """The hold on one run. Whoever inherits `descriptor` holds it too, however the others end.

    `leaves_nothing` is for a run that fails after it has cleaned up.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._named: set[str] = set()
        self.leaves_nothing = False

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def name(self, names: Iterable[str]) -> None:
        """Note ids and names of what the run makes, for those who find it dead."""
        for name in sorted(set(names) - self._named):
            self._named.add(name)
            self._file.write(f"{name}\n")
            self._file.flush()


@contextmanager
def held(target: Target, run_id: str, *, until: str) -> Iterator[Lease]:
    """Hold the run while the block runs; when that ends well, or leaves nothing, the run is known no more.

    `until` is the end of its life, in ISO 8601.
    """
    path = _folder(target) / run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"target": target.name, "started": begun, "until": until}) + "\n")
        file.flush()
        lease = Lease(file)
        try:
            yield lease
            lease.leaves_nothing = True
        finally:
            if lease.leaves_nothing:
                path.unlink(missing_ok=True)


class RunLeases:
    """`ports.BakeRuns` beside the journal of the project."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def known(self) -> tuple[KnownRun, ...]:
        found = (self._read(path) for path in sorted(_folder(self._target).glob("*")))
        return tuple(run for run in found if run)

    def end(self, run_id: str) -> None:
        for pid in _holders(_folder(self._target) / run_id):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def forget(self, run_id: str) -> None:
        path = _folder(self._target) / run_id
        if path.exists() and _is_held(path):
            raise CapctlError("run-alive", f"A process of run `{run_id}` still exists", hint="Wait until it has ended")
        path.unlink(missing_ok=True)

    def folders(self) -> tuple[str, ...]:
        return tuple(str(folder) for folder in abandoned(BAKE_FOLDER) if str(folder) not in self._in_use())

    def remove_folder(self, path: str) -> None:
        if path not in self._in_use():
            remove_abandoned(Path(path))

    def _in_use(self) -> frozenset[str]:
        # Packer outlives a capctl that was killed, and with it the lock on the folder.
        return frozenset[str]().union(*(run.named for run in self.known() if run.is_held))

    def _read(self, path: Path) -> KnownRun | None:
        try:
            is_held = _is_held(path)
            lines = path.read_text().splitlines()
        except FileNotFoundError:  # it has just ended
            return None
        head = json.loads(lines[0]) if lines and lines[0].startswith("{") and lines[0].endswith("}") else {}
        if head.get("target", self._target.name) != self._target.name:
            return None
        return KnownRun(
            id=path.name,
            is_held=is_held,
            started=told_moment(head.get("started", "")),
            until=told_moment(head.get("until", "")),
            named=frozenset(line for line in lines if not line.startswith("{")),
            holders=_holders(path) if is_held else (),
        )


def _folder(target: Target) -> Path:
    return target.folder / ".capctl" / "runs"


def _is_held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holders(path: Path) -> tuple[int, ...]:
    """The processes that have the file open, this one apart; none where the system does not tell."""
    return tuple(
        int(process.name)
        for process in _PROC.glob("[0-9]*")
        if int(process.name) != os.getpid() and _has_open(process, path)
    )


def _has_open(process: Path, path: Path) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        return any(_is_same(entry, path) for entry in (process / "fd").iterdir())
    return False


def _is_same(entry: Path, path: Path) -> bool:
    with suppress(OSError):
        return entry.samefile(path)
    return False
