"""What a person sees of each resource that an update makes, changes or deletes."""

from contextlib import AbstractContextManager
from typing import NamedTuple

from lifecycle.errors import CapctlError
from lifecycle.ports.ui import StepReport, Ui

_Key = tuple[str, str]
"""URN and the engine's word for the operation: a replacement is two of one URN."""


class _Line(NamedTuple):
    step: AbstractContextManager[StepReport]
    report: StepReport


class ResourceLines:
    """A step of the `ui` for each resource under way, so that a compute environment that takes minutes shows that it does."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._open: dict[_Key, _Line] = {}

    def begun(self, key: _Key, title: str) -> None:
        """The engine works on a resource."""
        if key not in self._open:
            step = self._ui.step(title)
            self._open[key] = _Line(step, step.__enter__())

    def done(self, key: _Key) -> None:
        """It is as it should be."""
        if line := self._open.pop(key, None):
            line.step.__exit__(None, None, None)

    def blame(self, urn: str, why: str) -> None:
        """Why the operations on this resource will be told as failed."""
        for key, line in self._open.items():
            if key[0] == urn:
                line.report.done(" ".join(why.split()))

    def failed(self, key: _Key) -> None:
        """It is not."""
        if line := self._open.pop(key, None):
            error = CapctlError("stack-failed", "A resource failed", hint="")
            try:
                line.step.__exit__(CapctlError, error, None)
            except CapctlError as raised:
                if raised is not error:
                    raise

    def close(self) -> None:
        """Nobody works on any of them any more."""
        for key, line in list(self._open.items()):
            line.report.done("not finished")
            self.failed(key)
