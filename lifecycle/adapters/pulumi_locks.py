"""Who holds a lock of Pulumi's, and whether that is a process of this machine.

A lock tells the name of a host and a process id: two machines may have one name, and two containers of one machine the same ids. So every
CLI is noted while it runs, by what tells its machine and itself from all others; what has no note may be anywhere.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lifecycle.adapters.processes import Process
from lifecycle.domain.moments import told_moment

_HOLDER = re.compile(r"created by (?P<user>[^\s@]+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")
# How long after its start a CLI takes its lock, at most, so that an id that was given again on a machine of the same name is no match.
_LOCKS_WITHIN = timedelta(minutes=1)
# A lock tells full seconds.
_SECOND = timedelta(seconds=1)
# A killed CLI leaves its note for who meets its lock.
_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """Who holds a lock, as Pulumi's message tells: `pid` is the CLI's, `at` when it took the lock, in ISO 8601."""

    user: str
    host: str
    pid: int
    at: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (pid {self.pid}) since {self.at}"


def lock_holders(message: str) -> list[LockHolder]:
    """Who holds the locks that Pulumi's message names."""
    found = (match.groupdict() for match in _HOLDER.finditer(message))
    return [LockHolder(user=one["user"], host=one["host"], pid=int(one["pid"]), at=one["at"]) for one in found]


class StartedClis:
    """The CLIs that run, or were killed, by a note of each; `folder` may be one that several machines share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, pid: int) -> Path:
        """Note the CLI of that process id, which has just been started; returns the note, to be removed once it has ended by itself."""
        process, now = Process.here(pid), datetime.now(UTC)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget_before(now - _KEPT)
        note = self._folder / f"{now:%Y%m%dT%H%M%S%f}-{pid}-{os.urandom(3).hex()}"
        # Whole or not at all: another run may look at it meanwhile.
        written = note.with_name(f".{note.name}")
        written.write_text(json.dumps({**asdict(process), "host": os.uname().nodename, "at": now.isoformat()}))
        return written.rename(note)

    def find(self, holder: LockHolder) -> Process | None:
        """The process of this machine that took the lock; None for one of another machine, and for any that is not noted."""
        locked = told_moment(holder.at)
        for note in self._folder.glob("[0-9]*"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                told = json.loads(note.read_text())
                process = Process(machine=told["machine"], pid=told["pid"], began=told["began"])
                begun = datetime.fromisoformat(told["at"])
                is_of_then = locked is not None and begun - _SECOND <= locked <= begun + _LOCKS_WITHIN
                if (told["host"], process.pid, process.is_here, is_of_then) == (holder.host, holder.pid, True, True):
                    return process
        return None

    def _forget_before(self, moment: datetime) -> None:
        for note in self._folder.iterdir():
            with suppress(OSError):
                if note.stat().st_mtime < moment.timestamp():
                    note.unlink()
