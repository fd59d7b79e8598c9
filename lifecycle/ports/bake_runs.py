"""Runs of bakes on this machine, and what they leave on it."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from lifecycle.domain.sweep import KnownRun


class BakeRuns(Protocol):
    """The runs of one target."""

    def known(self) -> tuple[KnownRun, ...]:
        """Those that live and those that ended badly; what ended well is not known any more."""

    def held(self, run_id: str, *, until: datetime) -> AbstractContextManager[None]:
        """Let a run that leaves nothing be known while the block runs; `until` is when it ends at the latest."""

    def end(self, run_id: str) -> None:
        """Ask the processes to end that a run started and still has. For a run that has outlived its time."""

    def forget(self, run_id: str) -> None:
        """Know a dead run no more. Raises `CapctlError("run-alive")` while a process of it exists."""

    def folders(self) -> tuple[str, ...]:
        """The private folders of dead runs, with the addresses of models in them, by path."""

    def remove_folder(self, path: str) -> None:
        """Remove such a folder, if no run has it."""
