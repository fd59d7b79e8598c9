"""A project whose AMIs a prune looks at."""

from __future__ import annotations

from pathlib import Path

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord, Grant
from lifecycle.domain.plan import Done
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Use
from lifecycle.errors import Denied
from lifecycle.workflows.execute import execute
from lifecycle.workflows.prune import Pruning, plan_prune
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

DAY_S = 86_400


class Scene:
    """A project with AMIs that are 100 days old."""

    def __init__(self, folder: Path) -> None:
        self.ports = FakePorts()
        self.target: Target = make_target(folder)
        self.ports.clock.sleep(100 * DAY_S)

    def ami(self, name: str = "old") -> AmiRecord:
        made = self.ports.amis.add(name)
        self.ports.amis.tag(made.id, {Tag.PROJECT: "vision", Tag.STATUS: "verified", Tag.RUN: "r1"})
        return self.ports.amis.get(made.id)

    def plan(self, *, most: int = 10) -> Pruning:
        return plan_prune(self.ports, self.target, most=most)

    def prune(self, *, most: int = 10) -> Done:
        return execute(self.plan(most=most).plan, self.ports, RUN)

    def disabled(self, name: str = "old") -> AmiRecord:
        """An AMI that an earlier run disabled, and whose grace has passed."""
        made = self.ami(name)
        self.prune()
        self.ports.clock.sleep(3 * DAY_S)
        return self.ports.amis.get(made.id)

    def use(self, ami: AmiRecord) -> Use:
        return Use(of=ami.id, kind="instance", name="i-1")

    @property
    def ids(self) -> list[str]:
        return [ami.id for ami in self.ports.amis.list("vision")]


OTHER = Grant(account="210987654321")


def refuse(*_: object) -> None:
    raise Denied("permission-denied", "AWS refused it")


def outcomes(done: Done) -> list[str]:
    return [str(result) for _, result in done.results]
