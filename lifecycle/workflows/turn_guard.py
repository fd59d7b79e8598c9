"""The turn to change what is deployed, for a plan that is no deployment."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from lifecycle.domain.plan import Step
from lifecycle.domain.run import Run
from lifecycle.ports import Ports
from lifecycle.ports.deployments import Turn


class TurnGuard:
    """Holds the turn while the steps run. Raises `CapctlError("deploy-locked" | "turn-lost")`."""

    def __init__(self, ports: Ports, run: Run) -> None:
        self._ports, self._run = ports, run
        self._taken: AbstractContextManager[Turn] | None = None
        self._turn: Turn | None = None

    def __enter__(self) -> "TurnGuard":
        self._taken = self._ports.deployments.turn(self._run.id, self._run.command)
        self._turn = self._taken.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._taken is not None, "the turn was taken on entering"
        self._taken.__exit__(kind, error, trace)

    def before(self, _: Step[Any]) -> None:
        assert self._turn is not None, "the turn was taken on entering"
        self._turn.require()
