"""Each AWS call of a prune fails once in turn; whatever happens, the next run comes to the right end and nothing in use is touched."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, cast

import pytest
from botocore.exceptions import ConnectionClosedError

from lifecycle.adapters.aws.ami_users import AwsAmiUsers
from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.workflows.execute import execute
from lifecycle.workflows.prune import plan_prune
from tests.dev.iam import command_actions
from tests.fakes.clock import FakeClock
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.rehearsal.aws_faults import Calls, early_reads

pytestmark = pytest.mark.rehearsal

SERVICES = ("ec2", "autoscaling", "batch", "ssm")
LONG_AGO = "2026-01-01T00:00:00+00:00"
CHANGES = ("CreateTags", "DeleteTags", "DisableImage", "DeregisterImage", "DeleteSnapshot")
# The answer of a call that AWS refused, as botocore takes it from a hook.
THROTTLED = (503, {"Error": {"Code": "RequestLimitExceeded", "Message": "too many"}, "ResponseMetadata": {}})
FAILED = (500, {"Error": {"Code": "InternalError", "Message": "an internal error"}, "ResponseMetadata": {}})
LOST = None
WAYS = (THROTTLED, FAILED, LOST)


class _Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class Faults:
    """Hooks on the clients of a session: they count the calls, and let one fail, by its operation and number, in its way."""

    def __init__(self, session: AwsSession) -> None:
        self.counts: Counter[str] = Counter()
        self.asked: set[str] = set()  # as IAM names the actions
        self.failing: tuple[str, int, Any] | None = None
        self._lock = Lock()
        for service in SERVICES:
            events = session.client(service).meta.events
            events.register_first(f"before-call.{service}", self._before)
            events.register_first(f"after-call.{service}", self._after)

    def arm(self, operation: str, number: int, way: Any) -> None:
        self.counts.clear()
        self.failing = (operation, number, way)

    def disarm(self) -> None:
        self.counts.clear()
        self.asked.clear()
        self.failing = None

    def _before(self, model: Any, **_: Any) -> Any:
        with self._lock:
            self.counts[model.name] += 1
            self.asked.add(f"{model.service_model.service_name}:{model.name}")
            if self.failing and self.failing[2] is not LOST and self._is_it(model):
                status, answer = self.failing[2]
                return _Response(status), answer
        return None

    def _after(self, model: Any, **_: Any) -> None:
        if self.failing and self.failing[2] is LOST and self._is_it(model):
            # What was asked for has happened, and nobody here knows.
            raise ConnectionClosedError(endpoint_url="http://emulator")

    def _is_it(self, model: Any) -> bool:
        return self.failing is not None and self.failing[:2] == (model.name, self.counts[model.name])


class World:
    """An account in which an AMI is in use, one is to be disabled and one to be removed, beside a snapshot whose AMI is gone."""

    def __init__(self, session: AwsSession, base_ami: str, target: Any) -> None:
        self.session, self.target = session, target
        ports = FakePorts()
        ports.amis = Ec2Amis(session)  # type: ignore[assignment]
        # AMIs are dated by the emulator's clock, which is this machine's.
        ports.clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
        ports.ami_users = AwsAmiUsers(session)  # type: ignore[assignment]
        self.ports = cast("Ports", ports)
        self.ec2 = session.client("ec2")
        self.base_ami = base_ami
        self.instance = self.ec2.run_instances(ImageId=base_ami, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        self.begin()

    def begin(self) -> None:
        """Every AMI of an earlier test is forgotten, and those of this one are made."""
        self.target = make_target(self.target.folder, ami={"retention": {"min_age_days": 0}})
        for ami in self.ports.amis.list("vision"):
            self.ports.amis.tag(ami.id, {Tag.PROJECT.value: "forgotten"})
        for one in self.ports.amis.snapshots_of("vision"):
            self.ports.amis.tag_snapshot(one.id, {Tag.PROJECT.value: "forgotten"})
        self.used, self.unused, self.disabled, gone = (self._make() for _ in range(4))
        self.ec2.create_launch_template(
            LaunchTemplateName=f"user-{uuid.uuid4().hex}", LaunchTemplateData={"ImageId": self.used}
        )
        off = {Tag.STATUS.value: "disabled", Tag.DISABLED_AT.value: LONG_AGO}
        for ami_id in (self.disabled, gone):
            self.ec2.disable_image(ImageId=ami_id)
            self.ports.amis.tag(ami_id, off)
        (self.orphan,) = self.ports.amis.get(gone).snapshot_ids
        self.ec2.deregister_image(ImageId=gone)
        self.before = self.ports.amis.get(self.used)
        self.snapshots = (*self.ports.amis.get(self.disabled).snapshot_ids, self.orphan)

    def prune(self) -> CapctlError | None:
        """Run `ami prune --apply`; returns what it failed with."""
        try:
            pruning = plan_prune(self.ports, self.target, most=10)
            execute(pruning.plan, self.ports, RUN)
        except CapctlError as error:
            return error
        return None

    def is_right(self) -> bool:
        """Whether the unused AMI is disabled and everything that was to go is gone."""
        amis = {ami.id: ami for ami in self.ports.amis.list("vision")}
        unused = amis.pop(self.unused)
        return (
            amis.keys() == {self.used}
            and (unused.state, unused.status, Tag.DISABLED_AT in unused.tags) == ("disabled", "disabled", True)
            and not self.ports.amis.snapshots(self.snapshots)
        )

    def seen(self) -> object:
        """The AMIs and the snapshots as they are."""
        return self.ports.amis.list("vision"), self.ports.amis.snapshots(self.snapshots)

    def _make(self) -> Any:
        own = {Tag.PROJECT: "vision", Tag.STATUS: "verified", Tag.RUN: "r1", Tag.BASE_AMI: self.base_ami}
        tags = [{"Key": key.value, "Value": value} for key, value in own.items()]
        return self.ec2.create_image(
            InstanceId=self.instance,
            Name=f"prune-{uuid.uuid4().hex}",
            TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
        )["ImageId"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Faults]]:
    """An emulator of its own, so that a scan finds nothing of other tests."""
    options = EmulatorOptions(state=tmp_path_factory.mktemp("emulator"), rehearsal=f"test-{uuid.uuid4().hex[:8]}")
    with pytest.MonkeyPatch.context() as patch, Emulator(options, module="tests.rehearsal.past_emulator") as emulator:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        target = make_target(tmp_path_factory.mktemp("project"), endpoint_url=emulator.endpoint)
        session = AwsSession(target)
        faults = Faults(session)
        yield World(session, emulator.facts["base_ami"], target), faults


def test_world_comes_to_its_end_without_a_fault(stage: tuple[World, Faults]) -> None:
    world, faults = stage
    world.begin()
    faults.disarm()
    assert world.prune() is None
    assert world.is_right()
    assert set(CHANGES) <= faults.counts.keys()


def test_prune_asks_for_what_its_row_of_permissions_says(stage: tuple[World, Faults]) -> None:
    world, faults = stage
    world.begin()
    for ami in world.ports.amis.list("vision"):
        world.ec2.create_tags(Resources=[ami.id], Tags=[{"Key": Tag.DISABLED_AT.value, "Value": LONG_AGO}])
    faults.disarm()
    (snapshot,) = world.ports.amis.get(world.unused).snapshot_ids
    with grant_in_between(world, snapshot):
        assert world.prune() is None
    assert world.ports.amis.snapshot_grants([snapshot]) == {snapshot: frozenset()}
    # The pointer, the channels and Pulumi's state are not in this world, and no lock names a base.
    real = {
        action for action in command_actions()["ami prune"] if action.split(":")[0] in {"ec2", "autoscaling", "batch"}
    }
    assert {action for action in faults.asked if not action.startswith("ssm:")} == real


@contextmanager
def grant_in_between(world: World, snapshot_id: str) -> Iterator[None]:
    """Somebody shares a snapshot after it was proven that nobody needs its AMI."""

    def share(**_: Any) -> None:
        events.unregister("before-call.ec2.DeleteTags", share)
        world.ec2.modify_snapshot_attribute(
            SnapshotId=snapshot_id,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=["210987654321"],
        )

    events = world.ec2.meta.events
    events.register("before-call.ec2.DeleteTags", share)
    yield
    events.unregister("before-call.ec2.DeleteTags", share)


@pytest.mark.parametrize("way", WAYS, ids=["throttled", "failed", "answer lost"])
def test_change_that_fails_is_made_right_by_the_next_run(stage: tuple[World, Faults], way: Any) -> None:
    world, faults = stage
    for operation in CHANGES:
        number = 1
        while True:
            world.begin()
            faults.arm(operation, number, way)
            failure = world.prune()
            fired = faults.counts[operation] >= number
            faults.disarm()
            assert world.ports.amis.get(world.used) == world.before
            assert (failure is None) == (not fired), (operation, number, failure)
            if failure:
                assert world.prune() is None
            assert world.is_right(), (operation, number)
            if not fired:
                break
            number += 1


def test_read_that_fails_removes_nothing_in_use_and_is_made_right(stage: tuple[World, Faults]) -> None:
    world, faults = stage
    world.begin()
    faults.disarm()
    world.prune()
    counts = {name: most for name, most in faults.counts.items() if name not in CHANGES}
    world.begin()
    # The first ones belong to the plan, the last ones to its last step.
    for place, (operation, number) in enumerate([*dict.fromkeys(counts, 1).items(), *counts.items()]):
        untouched = world.seen()
        faults.arm(operation, number, WAYS[place % len(WAYS)])
        world.prune()
        faults.disarm()
        assert world.ports.amis.get(world.used) == world.before
        if world.seen() != untouched:
            assert world.prune() is None
            assert world.is_right(), (operation, number)
            world.begin()


def test_reads_that_do_not_know_of_the_last_change_remove_nothing_in_use(stage: tuple[World, Faults]) -> None:
    world, faults = stage
    faults.disarm()
    calls = Calls(*(world.session.client(service) for service in SERVICES))
    for early in early_reads(5):
        world.begin()
        with calls.watched(early=early):
            failure = world.prune()
        assert world.ports.amis.get(world.used) == world.before
        if failure:
            assert world.prune() is None
        assert world.is_right(), (early, failure)
