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
        self._ours: dict[tuple[int, str], bool] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def watch(self, mark: str) -> None:
        """Count the processes that carry `mark` in their environment."""
        self._ours.clear()
        self._mark = mark.encode()

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.peak_bytes = max(self.peak_bytes, sum(map(self._resident_bytes, _pids())))
            self._stop.wait(INTERVAL_S)

    def _resident_bytes(self, pid: int) -> int:
        folder = Path("/proc") / str(pid)
        try:
            # The start time tells a process from a later one with the same pid; the environment is read once per process.
            started = (folder / "stat").read_text().rpartition(")")[2].split()[19]
            if (pid, started) not in self._ours:
                marked = bool(self._mark) and self._mark in (folder / "environ").read_bytes()
                self._ours[pid, started] = marked or pid == os.getpid()
            if not self._ours[pid, started]:
                return 0
            return int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
