"""Runs of bakes on this machine: a locked file for each, so that the kernel says which of them live."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from lifecycle.adapters.private_folder import abandoned, remove_abandoned
from lifecycle.adapters.processes import PROC, session_and_begin
from lifecycle.config.target import Target
from lifecycle.domain.moments import iso_text, told_moment
from lifecycle.domain.sweep import KnownRun
from lifecycle.errors import CapctlError

BAKE_FOLDER = "capctl-bake-"  # what the names of a bake's private folders begin with
_UNNAMED = "."  # what the name of a lease begins with until it is held


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

    def process(self, pid: int) -> None:
        """Note a process of the run: nobody else's is ever ended."""
        self._file.write(json.dumps({"pid": pid, "began": session_and_begin(pid)[1]}) + "\n")
        self._file.flush()


@contextmanager
def held(target: Target, run_id: str, *, until: str) -> Iterator[Lease]:
    """Hold the run while the block runs; when that ends well, or leaves nothing, the run is known no more.

    `until` is the end of its life, in ISO 8601. What an earlier attempt of the run left stays known.
    """
    path = _folder(target) / run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    left = path.read_text().splitlines() if path.exists() else []
    # It gets its name once it is locked: a sweep that saw it before would take the run for dead.
    descriptor, unnamed = _locked_file(path.parent)
    with os.fdopen(descriptor, "w") as file:
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"target": target.name, "started": begun, "until": until}) + "\n")
        lease = Lease(file)
        lease.process(os.getpid())
        lease.name(line for line in left if not line.startswith("{"))
        unnamed.rename(path)
        try:
            yield lease
            lease.leaves_nothing = True
        finally:
            if lease.leaves_nothing and not left:
                path.unlink(missing_ok=True)


class RunLeases:
    """`ports.BakeRuns` beside the journal of the project."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def known(self) -> tuple[KnownRun, ...]:
        _remove_unnamed(_folder(self._target))
        paths = sorted(_folder(self._target).glob("*"))
        found = (self._read(path) for path in paths if not path.name.startswith(_UNNAMED))
        return tuple(run for run in found if run)

    @contextmanager
    def held(self, run_id: str, *, until: datetime) -> Iterator[None]:
        with held(self._target, run_id, until=iso_text(until)) as lease:
            lease.leaves_nothing = True
            yield

    def end(self, run_id: str) -> None:
        path = _folder(self._target) / run_id
        with suppress(FileNotFoundError):
            for pid in _holders(path, path.read_text().splitlines()):
                # Not SIGKILL: it would keep Packer from removing its instance.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def forget(self, run_id: str) -> None:
        path = _folder(self._target) / run_id
        with suppress(FileNotFoundError), path.open() as file:
            if not _is_lockable(file):
                message = f"A process of run `{run_id}` still exists"
                raise CapctlError("run-alive", message, hint="Wait until it has ended")
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
            holders=_holders(path, lines) if is_held else (),
        )


def _folder(target: Target) -> Path:
    return target.folder / ".capctl" / "runs"


def _locked_file(folder: Path) -> tuple[int, Path]:
    """A new file without a run's name, and the lock on it."""
    while True:
        descriptor, path = tempfile.mkstemp(dir=folder, prefix=_UNNAMED)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if Path(path).exists():
            return descriptor, Path(path)
        os.close(descriptor)  # somebody took it for abandoned, before it was locked


def _remove_unnamed(folder: Path) -> None:
    """What a run left that was killed before its lease got its name: it tells nothing, and nobody else removes it."""
    for path in folder.glob(f"{_UNNAMED}*"):
        with suppress(FileNotFoundError), path.open() as file:
            if _is_lockable(file):
                path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    with path.open() as file:
        return not _is_lockable(file)


def _is_lockable(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path, lines: Iterable[str]) -> tuple[int, ...]:
    """The run's own processes that hold it, this one apart; none where the system does not tell.

    Those that it noted, and what runs in their sessions: Packer leads one. Who else reads the file is none of them.
    """
    noted = [json.loads(line) for line in lines if line.startswith('{"pid"') and line.endswith("}")]
    began = {int(one["pid"]): int(one["began"]) for one in noted}

    def is_own(pid: int) -> bool:
        session, at = session_and_begin(pid)
        # The kernel gives no number of a session away before its last process has ended.
        is_of_session = (
            session in began and at >= began[session] and session_and_begin(session)[1] in {0, began[session]}
        )
        return at > 0 and (began.get(pid) == at or is_of_session)

    pids = (int(process.name) for process in PROC.glob("[0-9]*"))
    return tuple(pid for pid in pids if pid != os.getpid() and is_own(pid) and _has_open(PROC / str(pid), path))


def _has_open(process: Path, path: Path) -> bool:
    with suppress(OSError):  # it has ended, or is another user's
        return any(_is_same(entry, path) for entry in (process / "fd").iterdir())
    return False


def _is_same(entry: Path, path: Path) -> bool:
    with suppress(OSError):
        return entry.samefile(path)
    return False
