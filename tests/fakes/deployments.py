"""`ports.Deployments` in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lifecycle.domain.deployment import Deployment, Holder, Standing
from lifecycle.errors import CapctlError

HOLDER = Holder(
    run_id="",
    user="tester",
    host="machine",
    machine="boot/pids",
    pid=1,
    began=1,
    command="capctl deploy",
    since="2026-01-01T00:00:00+00:00",
)


class FakeTurn:
    """`is_lost` lets it be another run's."""

    def __init__(self, number: int, holder: Holder) -> None:
        self.number = number
        self.holder = holder
        self.is_lost = False

    def require(self) -> None:
        if self.is_lost:
            raise CapctlError("turn-lost", "Another run may deploy by now", hint="Look at `capctl history`")


class FakeDeployments:
    """`now` is the turn that somebody has; one who was killed never gave it back, and `bury` says that this is proven.

    It ran out `silent_s` ago. Without `has_table` there is nothing to take a turn in.
    """

    def __init__(self) -> None:
        self.now: FakeTurn | None = None
        self.turns = 0
        self.has_table = True
        self.silent_s = 0.0
        self._written: dict[int, Deployment] = {}

    @contextmanager
    def turn(self, run_id: str, command: str) -> Iterator[FakeTurn]:
        if not self.has_table:
            raise CapctlError("base-missing", "The table does not exist", hint="Run `capctl bootstrap` once")
        if self.now:
            raise CapctlError("deploy-locked", f"Another run changes what is deployed: {self.now.holder}", hint="Wait")
        self.turns += 1
        self.now = FakeTurn(self.turns, replace(HOLDER, run_id=run_id, command=command))
        try:
            yield self.now
        except Exception:
            self.now = None
            raise
        self.now = None

    def bury(self) -> None:
        """The holder of the turn is provably dead."""
        self.now = None

    def write(self, deployment: Deployment) -> None:
        self._written[deployment.number] = deployment

    def recent(self, count: int) -> tuple[Deployment, ...]:
        return tuple(self._written[number] for number in sorted(self._written, reverse=True)[:count])

    def standing(self, count: int) -> Standing:
        return Standing(
            recent=self.recent(count),
            holder=self.now.holder if self.now else None,
            silent_s=self.silent_s if self.now else 0.0,
        )
