"""Runs of bakes on this machine, and what they leave on it."""

from typing import Protocol

from lifecycle.domain.sweep import KnownRun


class BakeRuns(Protocol):
    """The runs of one target."""

    def known(self) -> tuple[KnownRun, ...]:
        """Those that live and those that ended badly; what ended well is not known any more."""

    def end(self, run_id: str) -> None:
        """Kill the processes that a run still has, at once. For a run that has outlived its time."""

    def forget(self, run_id: str) -> None:
        """Know a dead run no more. Raises `CapctlError("run-alive")` while a process of it exists."""

    def folders(self) -> tuple[str, ...]:
        """The private folders of dead runs, with the addresses of models in them, by path."""

    def remove_folder(self, path: str) -> None:
        """Remove such a folder, if no run has it."""
