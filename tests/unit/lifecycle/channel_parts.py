"""A project whose AMIs channels may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.plan import Plan
from lifecycle.workflows.execute import execute
from lifecycle.workflows.promote_ami import plan_channel_rollback, plan_promote
from tests.fakes.deploys import ami_tags
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

STABLE, BETA = Channel("stable"), Channel("beta")


class World:
    """Three AMIs `a`, `b`, `c` of the project, on which smoke jobs have passed."""

    def __init__(self, folder: Path) -> None:
        self.target = make_target(folder)
        self.ports = FakePorts()
        self.a, self.b, self.c = (self.add(name, "smoke-passed") for name in "abc")

    def add(self, name: str, status: str) -> AmiId:
        return self.ports.amis.add(name, tags=ami_tags(status)).id

    def plan(self, ami: str, channel: Channel = STABLE, *, ports: Any = None) -> Plan:
        return plan_promote(ports or self.ports, self.target, RUN, ami=ami, channel=channel)

    def promote(self, ami: str, channel: Channel = STABLE, *, ports: Any = None) -> None:
        execute(self.plan(ami, channel, ports=ports), ports or self.ports, RUN)

    def plan_back(self, channel: Channel = STABLE, *, ports: Any = None) -> Plan:
        return plan_channel_rollback(ports or self.ports, self.target, RUN, channel=channel)

    def roll_back(self, channel: Channel = STABLE, *, ports: Any = None) -> None:
        execute(self.plan_back(channel, ports=ports), ports or self.ports, RUN)

    def named(self, channel: Channel = STABLE) -> AmiId | None:
        entry = self.ports.channels.read(channel)
        return entry.ami_id if entry else None

    def versions(self, channel: Channel = STABLE) -> list[AmiId]:
        return [entry.ami_id for entry in reversed(self.ports.channels.history(channel))]

    def status(self, ami_id: AmiId) -> str:
        return str(self.ports.amis.get(ami_id).status)

    def statuses(self) -> list[str]:
        return [self.status(ami_id) for ami_id in (self.a, self.b, self.c)]

    def write(self, ami_id: AmiId, channel: Channel = STABLE, *, by: str = "bob") -> None:
        """What somebody else does."""
        self.ports.channels.write(channel, ami_id, Note(by=by), is_first=False)
