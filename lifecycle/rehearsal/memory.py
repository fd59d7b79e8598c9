"""Peak memory of all processes of a rehearsal, found by the mark that each carries in its environment."""

import os
import threading
from pathlib import Path

INTERVAL_S = 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """Samples while it is open; `peak_bytes` is the largest sum of resident memory seen, this process included."""

    def __init__(self) -> None:
        self._mark = b""
        self._ours: dict[int, bool | None] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def watch(self, mark: str) -> None:
        """Count the processes that carry `mark` in their environment."""
        self._mark = mark.encode()
        self._ours = {}

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            known = self._ours
            found = {pid: self._judged(pid, known) for pid in _pids()}
            self.peak_bytes = max(
                self.peak_bytes, sum(_resident_bytes(pid) for pid, is_ours in found.items() if is_ours)
            )
            if self._ours is known:
                self._ours = found
            self._stop.wait(INTERVAL_S)

    def _judged(self, pid: int, known: dict[int, bool | None]) -> bool | None:
        """Whether a process counts; None when that has to be asked again, since it may have been about to get its own environment.

        It is not asked a third time: a pid comes again only after all others, so not between two looks.
        """
        if pid not in known:
            return self._is_ours(pid) or None
        return self._is_ours(pid) if known[pid] is None else known[pid]

    def _is_ours(self, pid: int) -> bool:
        try:
            marked = bool(self._mark) and self._mark in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return marked or pid == os.getpid()


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
