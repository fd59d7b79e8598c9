"""Who uses an AMI: everything once, under the name that the project has for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, Note
from lifecycle.domain.usage import Use
from lifecycle.workflows.ami_uses import all_uses
from lifecycle.workflows.prune_world import Account, read_world
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target

STABLE = Channel("stable")
OLD, NEW = AmiId("ami-00000000000000001"), AmiId("ami-00000000000000002")


@pytest.fixture
def ports() -> FakePorts:
    """Channel `stable` names the newer AMI."""
    found = FakePorts()
    found.channels.write(STABLE, NEW, Note(by="ann"), is_first=True)
    return found


def uses(ports: FakePorts, folder: Path, *, reader: str) -> list[tuple[str, str]]:
    """The AMIs that are in use, and what uses them, as `ami show` and `prune` read it."""
    if reader == "show":
        report = all_uses(ports, make_target(folder))
    else:
        report = read_world(ports, Account(report=ports.ami_users.scan(template_versions=1)), ()).report
    return [(use.of, f"{use.kind} {use.name}") for use in report.uses if use.kind != "channel"]


def tell(ports: FakePorts, ami_id: AmiId, name: str) -> str:
    ports.ami_users.uses.append(Use(of=ami_id, kind="parameter", name=name))
    return f"parameter {name}"


@pytest.mark.parametrize("reader", ["show", "prune"])
def test_parameter_that_is_a_channel_is_no_second_use(ports: FakePorts, tmp_path: Path, reader: str) -> None:
    tell(ports, NEW, ports.channels.parameter(STABLE))
    other = tell(ports, NEW, "/deploy/ami")
    assert uses(ports, tmp_path, reader=reader) == [(NEW, other)]


@pytest.mark.parametrize("reader", ["show", "prune"])
def test_parameter_of_a_channel_that_was_moved_meanwhile_stays_a_use(
    ports: FakePorts, tmp_path: Path, reader: str
) -> None:
    before = tell(ports, OLD, ports.channels.parameter(STABLE))
    assert uses(ports, tmp_path, reader=reader) == [(OLD, before)]
