"""`ports.BakeRuns` in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from lifecycle.domain.sweep import KnownRun
from lifecycle.errors import CapctlError


class FakeBakeRuns:
    """Knows what tests put into `runs` and `paths`."""

    def __init__(self) -> None:
        self.runs: dict[str, KnownRun] = {}
        self.paths: list[str] = []

    def add(self, run: KnownRun) -> KnownRun:
        self.runs[run.id] = run
        return run

    def known(self) -> tuple[KnownRun, ...]:
        return tuple(self.runs.values())

    @contextmanager
    def held(self, run_id: str, *, until: datetime) -> Iterator[None]:
        self.runs[run_id] = KnownRun(id=run_id, is_held=True, until=until)
        try:
            yield
        finally:
            del self.runs[run_id]

    def end(self, run_id: str) -> None:
        self.runs[run_id] = replace(self.runs[run_id], is_held=False, holders=())

    def forget(self, run_id: str) -> None:
        if run_id in self.runs and self.runs[run_id].is_held:
            raise CapctlError("run-alive", f"A process of run `{run_id}` still exists")
        self.runs.pop(run_id, None)

    def folders(self) -> tuple[str, ...]:
        return tuple(self.paths)

    def remove_folder(self, path: str) -> None:
        if path in self.paths:
            self.paths.remove(path)
