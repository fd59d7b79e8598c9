"""Images are pruned in front of a real registry; then each AWS call fails in turn, and whatever happens nothing needed is lost and the
next run comes to the right end."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lifecycle.adapters.aws.image_users import AwsImageUsers
from lifecycle.adapters.aws.repository_images import EcrImages
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef, TaggedImage
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.services.registry import start_registry
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_images import list_images
from lifecycle.workflows.prune_images import plan_prune_images, unproven_images
from tests.contract.registry_parts import Pushing
from tests.dev.iam import command_actions
from tests.fakes.clock import FakeClock
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.rehearsal.aws_faults import Calls, Failing, every_fault
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]

SERVICES = ("batch", "ec2", "ecr", "ecs", "ssm")
RETENTION = {"keep_code": 1, "keep_bases": 1, "min_age_days": 0, "untagged_days": 0}


class World:
    """A repository in which a job definition needs one old image, and nothing another; the tree has the newest."""

    def __init__(self, session: AwsSession, target: Target, registry: Any) -> None:
        self.target, self.ecr, self.batch = target, session.client("ecr"), session.client("batch")
        self.ecr.create_repository(repositoryName=target.repository_name)
        ports = FakePorts()
        # Images are dated by the emulator's clock, which is this machine's.
        ports.clock = FakeClock(datetime.now(UTC) + timedelta(hours=1))
        ports.repository_images = EcrImages(target, session)  # type: ignore[assignment]
        ports.image_users = AwsImageUsers(session, target.repository_name)  # type: ignore[assignment]
        self.ports, self.images = cast("Ports", ports), ports.repository_images
        self.pushing = Pushing(registry, target.repository_name)
        self.base, _ = self.pushing.image("base-000000000001", b"below")
        ref = ImageRef(repository=target.repository, digest=self.base)
        ports.base_builder.required = lambda: TaggedImage(ref=ref, tag="base-000000000001")  # type: ignore[method-assign]
        ports.code.tag = lambda: "code-0000000000000001"  # type: ignore[method-assign]
        self.used = self._code("code-0000000000000002")
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        image = f"{target.repository}@{self.used}"
        self.batch.register_job_definition(
            jobDefinitionName="vision",
            type="container",
            containerProperties={"image": image, "command": ["true"], "resourceRequirements": needs},
        )
        self.tree = self._code("code-0000000000000001")
        self.needed = {self.base, self.used, self.tree}

    def begin(self) -> None:
        """Push two images that nothing needs, and an index and a signature of one of them."""
        first, second = self._code(""), self._code("")  # the newest with a tag would stay
        signature, _ = self.pushing.image("", uuid.uuid4().bytes, subject=first)
        index = self.pushing.index("", second)
        self.unneeded = {first, second, signature, index}
        until(lambda: self.unneeded <= self.held())

    def prune(self) -> CapctlError | None:
        """Run `image prune --apply`; returns what it failed with."""
        try:
            pruning = plan_prune_images(self.ports, self.target, most=10)
            return unproven_images(pruning, execute(pruning.plan, self.ports, RUN))
        except CapctlError as error:
            return error

    def held(self) -> set[Digest]:
        return {
            Digest(one["imageDigest"])
            for one in self.ecr.describe_images(repositoryName=self.target.repository_name)["imageDetails"]
        }

    def _code(self, tag: str) -> Digest:
        return self.pushing.image(tag, b"below", uuid.uuid4().bytes, base=self.base)[0]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Calls]]:
    """An emulator and a registry of its own, so that a scan finds nothing of other tests."""
    home, rehearsal, port = tmp_path_factory.mktemp("ecr"), f"test-{uuid.uuid4().hex[:8]}", free_port()
    events = f"http://127.0.0.1:{port}/_capctl/registry-events"
    with pytest.MonkeyPatch.context() as patch, start_registry(home, rehearsal, events_url=events) as registry:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        options = EmulatorOptions(state=home / "state", rehearsal=rehearsal, port=port, registry=registry.address)
        with Emulator(options) as emulator:
            target = make_target(Path(home), endpoint_url=emulator.endpoint, image={"retention": RETENTION})
            session = AwsSession(target)
            world = World(session, target, registry)
            yield world, Calls(*(session.client(service) for service in SERVICES))


def test_what_nothing_needs_goes_and_the_needed_image_can_be_pulled(stage: tuple[World, Calls]) -> None:
    world, calls = stage
    world.begin()
    with calls.watched() as made:
        listed = {one.image.digest: one for one in list_images(world.ports, world.target, every=True).images}
        assert world.prune() is None
    assert [use.kind for use in listed[world.used].uses] == ["job definition"]
    assert "code image" in {use.kind for use in listed[world.base].uses}
    assert world.held() == world.needed
    for digest in world.needed:
        assert json.loads(world.pushing.pull(digest))["layers"]
    assert {world.pushing.pull(digest) for digest in world.unneeded} == {b""}
    asked = {f"{call.service}:{call.operation}" for call in made}
    declared = {action for action in command_actions()["image prune"] if action.split(":")[0] in SERVICES}
    # The working tree is none here; no cluster has a service or a task, and no job waits.
    registry_calls = {"ecr:BatchCheckLayerAvailability", "ecr:GetAuthorizationToken", "ecr:GetDownloadUrlForLayer"}
    nothing_there = {
        "ecs:DescribeServices",
        "ecs:ListServices",
        "ecs:DescribeTasks",
        "ecs:ListTasks",
        "batch:DescribeJobs",
    }
    nothing_there |= {"batch:ListJobs", "ecs:DescribeTaskDefinition", "ssm:GetParameters"}
    assert asked <= declared
    assert declared - asked <= registry_calls | nothing_there


def test_call_that_fails_loses_nothing_needed_and_is_made_right_by_the_next_run(stage: tuple[World, Calls]) -> None:
    world, calls = stage
    world.begin()
    with calls.watched() as made:
        assert world.prune() is None
    for failing in _in_turn(list(made)):
        if world.held() == world.needed:
            world.begin()
        with calls.watched(failing):
            failure = world.prune()
        held = world.held()
        assert world.needed <= held, failing
        assert failure is not None or held == world.needed, failing
    assert world.prune() is None
    assert world.held() == world.needed


def _in_turn(made: list[Any]) -> Iterator[Failing]:
    """Each operation at its first and its last call, and every deletion in each way."""
    places = {call: number for number, call in enumerate(made)}
    first = {call: number for number, call in reversed(list(enumerate(made)))}
    chosen = {*places.values(), *first.values()} | {
        number for number, call in enumerate(made) if call.operation == "BatchDeleteImage"
    }
    yield from (one for one in every_fault(made) if one.number in chosen)
