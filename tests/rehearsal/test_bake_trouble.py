"""A bake on EC2's bad days, by both Packers: an image that is not finished in time, types and subnets without capacity."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.app import App
from lifecycle.config.load import load_target
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import ExitCode, TimedOut
from lifecycle.workflows.bake import Baked, bake
from lifecycle.workflows.execute import execute
from tests.fakes.ui import FakeUi
from tests.packers import PACKERS, packer_environment
from tests.rehearsal.bake_stage import Stage, bake_stage
from tests.rehearsal.ec2_trouble import Ec2Trouble, ec2_trouble
from tests.rehearsal.stage_parts import emulated_credentials

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(180)]


class OutOfTime(FakeUi):
    """The time of a bake is over while it waits for its AMI."""

    def note(self, message: str) -> None:
        super().note(message)
        if message.startswith("Waiting for AMI"):
            raise TimedOut("bake-timed-out", "The bake did not end within 3600 s")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with bake_stage(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("bake") / "project") as stage:
        yield stage


@pytest.fixture
def trouble(stage: Stage) -> Iterator[Ec2Trouble]:
    with ec2_trouble(stage.emulator.endpoint) as trouble:
        yield trouble


def baked(stage: Stage, trouble: Ec2Trouble, ui: FakeUi, *, number: int, **ami: str) -> Baked:
    """What one command's bake comes to, of another AMI than any bake before it."""
    at = {"CAPCTL_ENDPOINT_URL": trouble.url, **{f"CAPCTL_AMI__{key.upper()}": value for key, value in ami.items()}}
    target = load_target(stage.folder / "capctl.yaml", "rehearsal", environment=at)
    run = Run(id=f"20260101-00000{number}-abcdef", command="capctl ami bake", user="tester")
    app = App(target, ui)

    def carry_out(plan: Plan) -> Done | None:
        return execute(plan, app, run)

    done = bake(app, target, run, force=False, carry_out=carry_out)
    assert done
    return done


def images(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.aws.ec2.describe_images(Owners=["self"])["Images"]
    return found


@pytest.mark.parametrize("name", PACKERS)
def test_ami_that_is_pending_when_the_time_is_over_is_adopted_by_the_next_bake(
    stage: Stage,
    trouble: Ec2Trouble,
    name: str,
) -> None:
    volume = str(31 + PACKERS.index(name))  # of another size, so another AMI
    with emulated_credentials(**packer_environment(name)):
        trouble.pending_answers = 1_000
        with pytest.raises(TimedOut) as failed:
            baked(stage, trouble, OutOfTime(), number=1, volume_gib=volume)
        (left,) = images(stage)
        assert failed.value.code == "ami-pending"
        assert f"`{left['ImageId']}`" in failed.value.message
        tags = {tag["Key"]: tag["Value"] for tag in left["Tags"]}
        assert (tags[Tag.RUN], tags[Tag.STATUS]) == ("20260101-000001-abcdef", AmiStatus.CANDIDATE)
        assert stage.left() == []
        trouble.pending_answers, trouble.asked = 8, []
        done = baked(stage, trouble, FakeUi(), number=2, volume_gib=volume)
    assert (done.ami.id, done.ami.status) == (left["ImageId"], AmiStatus.VERIFIED)
    assert trouble.asked == []
    assert done.ami.tags[Tag.RUN] == "20260101-000001-abcdef"
    stage.aws.ec2.deregister_image(ImageId=done.ami.id, DeleteAssociatedSnapshots=True)


def test_bake_takes_the_first_place_that_has_capacity(stage: Stage, trouble: Ec2Trouble) -> None:
    one, two = (subnet["SubnetId"] for subnet in stage.aws.ec2.describe_subnets()["Subnets"][:2])
    trouble.full = {("m6i.large", one), ("m6i.large", two)}
    ui = FakeUi()
    with emulated_credentials(**packer_environment("modern")):
        places = {"instance_types": "m6i.large, m5.large", "subnet_ids": f"{one}, {two}"}
        done = baked(stage, trouble, ui, number=3, volume_gib="33", **places)
    assert done.ami.status is AmiStatus.VERIFIED
    assert trouble.asked == [("m6i.large", one), ("m6i.large", two), ("m5.large", one)]
    assert len([line for line in ui.lines if line.startswith("AWS has no capacity for m6i.large in subnet-")]) == 2
    stage.aws.ec2.deregister_image(ImageId=done.ami.id, DeleteAssociatedSnapshots=True)
    assert stage.left() == []


def test_bake_without_capacity_is_inconclusive_and_leaves_nothing(stage: Stage, trouble: Ec2Trouble) -> None:
    trouble.full = {("m6i.large", "")}
    changed = {"CAPCTL_ENDPOINT_URL": trouble.url, "CAPCTL_AMI__INSTANCE_TYPES": "m6i.large"}
    stage.packer = changed
    failed = stage.run("-o", "json", "ami", "bake")
    stage.packer = {}
    assert failed.returncode == ExitCode.INCONCLUSIVE
    assert json.loads(failed.stdout)["details"] == ["m6i.large in the default VPC"]
    assert (images(stage), stage.left()) == ([], [])
