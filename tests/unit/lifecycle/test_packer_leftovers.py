"""What a bake that failed leaves is removed right after it, in an order in which EC2 lets everything go."""

from __future__ import annotations

import math

from lifecycle.adapters.packer_leftovers import BakeTraces, Removal, remove_leftovers
from lifecycle.domain.sweep import Leftover, LeftoverKind
from lifecycle.errors import Denied
from tests.fakes.amis import FakeAmis
from tests.fakes.clock import FakeClock
from tests.fakes.leftovers import FakeLeftovers

INSTANCE, GROUP = "i-0123456789abcdef0", "sg-0123456789abcdef0"
GROUP_NAME = "packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e"


class Scene:
    """An instance of the run and its security group."""

    def __init__(self) -> None:
        self.clock, self.leftovers = FakeClock(), FakeLeftovers(FakeAmis())
        self.leftovers.add(Leftover(kind=LeftoverKind.INSTANCE, id=INSTANCE, run_id="r1"))
        self.leftovers.add(Leftover(kind=LeftoverKind.SECURITY_GROUP, id=GROUP, name=GROUP_NAME, run_id="r1"))

    def remove(self) -> Removal:
        return remove_leftovers(self.leftovers, self.clock, BakeTraces(), "r1")


def test_group_goes_once_its_instance_has_ended() -> None:
    scene = Scene()
    began = scene.clock.monotonic()
    scene.leftovers.lingers[INSTANCE] = 5
    assert scene.remove() == Removal(removed=(INSTANCE, GROUP_NAME), left=())
    assert scene.clock.monotonic() > began


def test_instance_that_does_not_end_is_told_and_the_rest_is_tried() -> None:
    scene = Scene()
    began = scene.clock.monotonic()
    scene.leftovers.lingers[INSTANCE] = math.inf
    assert scene.remove() == Removal(removed=(GROUP_NAME,), left=(f"instance {INSTANCE} is still there",))
    assert scene.clock.monotonic() - began <= 700


def test_instance_that_cannot_be_ended_is_not_waited_for() -> None:
    scene = Scene()
    began = scene.clock.monotonic()
    scene.leftovers.failing[INSTANCE] = Denied("permission-denied", "AWS refused removing it")
    assert scene.remove() == Removal(removed=(GROUP_NAME,), left=("AWS refused removing it",))
    assert scene.clock.monotonic() == began


def test_traces_are_ids_of_this_bake_only() -> None:
    traces = BakeTraces()
    for line in (
        "AMI: ami-0123",
        "Instance ID: i-0123456789abcdef0",
        "AMI Name: 'x' is used by an existing AMI: ami-0999",
        "Creating temporary keypair: packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e",
    ):
        traces.look(line)
    assert traces.amis == {"ami-0123"}
    assert traces.instances == {"i-0123456789abcdef0"}
    assert traces.temporary == {"packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e"}
