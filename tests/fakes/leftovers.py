"""`ports.Leftovers` in memory."""

from collections.abc import Collection

from lifecycle.domain.ami import AmiId
from lifecycle.domain.sweep import Leftover, LeftoverKind, half_made
from lifecycle.errors import CapctlError
from tests.fakes.amis import FakeAmis


class FakeLeftovers:
    """Holds what tests put into `items`, beside the half-made AMIs of `amis`. `failing` are ids that cannot be removed.

    What `lingers` names is still there for that many looks after its removal.
    """

    def __init__(self, amis: FakeAmis, project: str = "vision") -> None:
        self._amis = amis
        self._project = project
        self.items: dict[str, Leftover] = {}
        self.failing: dict[str, CapctlError] = {}
        self.lingers: dict[str, float] = {}

    def add(self, item: Leftover) -> Leftover:
        self.items[item.id] = item
        return item

    def find(self, *, named: Collection[str] = ()) -> tuple[Leftover, ...]:
        return tuple(
            item for item in (*self.items.values(), *self._half_made(named)) if item.project in {"", self._project}
        )

    def remove(self, item: Leftover) -> None:
        if item.id in self.failing:
            raise self.failing[item.id]
        if item.id not in self.lingers:
            self.items.pop(item.id, None)
        if item.kind is LeftoverKind.AMI and self.exists(item):
            self._amis.deregister(AmiId(item.id))

    def exists(self, item: Leftover) -> bool:
        if item.kind is LeftoverKind.AMI:
            return any(ami.id == item.id for ami in self._amis.own())
        if item.id in self.lingers:
            self.lingers[item.id] -= 1
            if self.lingers[item.id] < 0:
                self.items.pop(item.id, None)
        return item.id in self.items

    def _half_made(self, named: Collection[str]) -> list[Leftover]:
        return [one for ami in self._amis.own() if (one := half_made(ami, self._project, named))]
