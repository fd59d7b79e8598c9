"""The turn to change what is deployed, held while a plan is carried out."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from lifecycle.domain.plan import Step
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.deployments import Turn


class TurnGuard:
    """Holds the turn to change what is deployed while the steps run. Raises `CapctlError("deploy-locked" | "turn-lost")`."""

    def __init__(self, ports: Ports, run: Run) -> None:
        self._ports = ports
        self._run = run
        self._taken: AbstractContextManager[Turn] | None = None
        self._turn: Turn | None = None

    def __enter__(self) -> Self:
        taken = self._ports.deployments.turn(self._run.id, self._run.command)
        self._turn, self._taken = taken.__enter__(), taken
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken:
            self._taken.__exit__(kind, error, trace)

    def before(self, _: Step[Any]) -> None:
        if self._turn:
            self._turn.require()


class BootstrapGuard(TurnGuard):
    """As `TurnGuard`, but for the first bootstrap of a target, which makes the table that the turn is in.

    Two of those at once are kept apart by Pulumi's own lock: the second is refused, or finds everything made.
    """

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except CapctlError as error:
            if error.code != "base-missing":
                raise
            return self
