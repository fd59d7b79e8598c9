"""Processes of this machine, as /proc tells of them; where there is none, nothing is told."""

import os
import select
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# A process that waits to be reaped, or is being, does nothing any more; in a container that reaps nobody it stays so.
_ENDED = ("Z", "X")


def machine_name() -> str:
    """What tells this machine, since its start, and the process ids that this process sees from any others; "" where nothing does.

    Host names do not: the containers of a CI may all have one. Nor does the machine alone: each of its containers counts its processes
    from 1.
    """
    try:
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, told from all others: those of its id elsewhere, and those that had it before or get it later.

    `machine` is a `machine_name`, `began` the moment in ticks since that machine's start; "" and 0 where the system does not say.
    """

    machine: str
    pid: int
    began: int

    @classmethod
    def here(cls, pid: int) -> "Process":
        """The process of this machine that has the id now."""
        return cls(machine=machine_name(), pid=pid, began=session_and_begin(pid)[1])

    @property
    def is_here(self) -> bool:
        """Whether this machine's word on its ids counts for it."""
        return self.machine != "" and self.machine == machine_name()

    @property
    def is_gone(self) -> bool:
        """Whether it certainly does nothing any more; of one elsewhere that is never certain."""
        return self.is_here and not self._runs()

    def ends(self, *, within_s: float) -> bool:
        """Wait for its end; returns whether that came in time."""
        try:
            watched = os.pidfd_open(self.pid)
        except OSError:
            return self.is_gone
        try:
            # Another one may have got the id before it was watched.
            return self.is_gone or bool(select.select([watched], [], [], within_s)[0])
        finally:
            os.close(watched)

    def _runs(self) -> bool:
        try:
            # What another user started may not be seen below /proc.
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
        try:
            told = _told(self.pid)
            return told[0] not in _ENDED and self.began in {0, int(told[19])}
        except (OSError, ValueError, IndexError):
            return True


def session_and_begin(pid: int) -> tuple[int, int]:
    """The session of a process, and when it began, in ticks since the machine did; 0 for one that is not to be seen."""
    try:
        told = _told(pid)
        return int(told[3]), int(told[19])
    except (OSError, ValueError, IndexError):
        return 0, 0


def _told(pid: int) -> list[str]:
    """The fields of `stat` from the state on: before it is the name, in brackets, which may have blanks and brackets."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
