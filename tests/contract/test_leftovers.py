"""What every `ports.Leftovers` does."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.adapters.aws.leftovers import Ec2Leftovers
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.sweep import Leftover, LeftoverKind
from lifecycle.domain.tags import Tag
from lifecycle.ports.leftovers import Leftovers
from tests.fakes.amis import FakeAmis
from tests.fakes.leftovers import FakeLeftovers

UNTIL = "2026-01-01T02:00:00+00:00"
EMULATOR = pytest.param("emulator", marks=pytest.mark.rehearsal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`make` makes one thing of a kind for a project and a run, either "" for what is not tagged, and tells its id."""

    leftovers: Leftovers
    project: str
    make: Callable[[LeftoverKind, str, str], str]

    def found(self, item_id: str) -> Leftover | None:
        return next((item for item in self.leftovers.find() if item.id == item_id), None)


def packer_name(made: datetime) -> str:
    """As Packer calls a temporary thing that it makes at that moment."""
    rest = uuid.uuid4().hex
    return f"packer_{int(made.timestamp()):08x}-{rest[:4]}-{rest[4:8]}-{rest[8:12]}-{rest[12:24]}"


@pytest.fixture(params=["fake", EMULATOR])
def account(request: pytest.FixtureRequest) -> Account:
    project = f"p{uuid.uuid4().hex[:8]}"
    if request.param == "fake":
        return _in_memory(project)
    session: AwsSession = request.getfixturevalue("emulated_session")
    base = request.getfixturevalue("emulator").facts["base_ami"]
    return emulated(session, base, project)


def _in_memory(project: str) -> Account:
    amis = FakeAmis()
    leftovers = FakeLeftovers(amis, project)

    def make(kind: LeftoverKind, owner: str, run: str) -> str:
        if kind is LeftoverKind.AMI:
            return amis.add(ami_name(project), tags=tags_of(owner, run), instance_id="i-1").id
        name = packer_name(datetime.now(UTC)) if kind.is_temporary else ""
        item = Leftover(
            kind=kind,
            id=uuid.uuid4().hex,
            name=name,
            project=owner,
            run_id=run,
            created=datetime.now(UTC),
            run_until=datetime.fromisoformat(UNTIL) if run else None,
        )
        return leftovers.add(item).id

    return Account(leftovers=leftovers, project=project, make=make)


def emulated(session: AwsSession, base: str, project: str) -> Account:
    """The emulator's account, in which a project has left nothing yet."""
    ec2 = session.client("ec2")

    def make(kind: LeftoverKind, owner: str, run: str) -> str:
        tags = [{"Key": key, "Value": value} for key, value in tags_of(owner, run).items()]

        def tagged(resource: str) -> dict[str, Any]:
            return {"TagSpecifications": [{"ResourceType": resource, "Tags": tags}]} if tags else {}

        def launch(**options: Any) -> str:
            answer = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, **tagged("instance"), **options)
            return str(answer["Instances"][0]["InstanceId"])

        def image(name: str) -> tuple[str, str]:
            instance = launch()
            made = ec2.create_image(InstanceId=instance, Name=name, **tagged("image"))["ImageId"]
            ec2.terminate_instances(InstanceIds=[instance])
            (shown,) = ec2.describe_images(ImageIds=[made])["Images"]
            return made, shown["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]

        name = packer_name(datetime.now(UTC))
        match kind:
            case LeftoverKind.INSTANCE:
                return launch()
            case LeftoverKind.AMI:
                return image(ami_name(project))[0]
            case LeftoverKind.VOLUME:
                return str(ec2.create_volume(AvailabilityZone="us-west-2a", Size=1, **tagged("volume"))["VolumeId"])
            case LeftoverKind.SNAPSHOT:
                ami, snapshot = image(ami_name(project))
                ec2.deregister_image(ImageId=ami)
                if tags:
                    ec2.create_tags(Resources=[snapshot], Tags=tags)
                return snapshot
            case LeftoverKind.KEY_PAIR:
                return str(ec2.create_key_pair(KeyName=name, **tagged("key-pair"))["KeyPairId"])
            case LeftoverKind.SECURITY_GROUP:
                made = ec2.create_security_group(GroupName=name, Description="by Packer", **tagged("security-group"))
                return str(made["GroupId"])

    return Account(leftovers=Ec2Leftovers(session, project), project=project, make=make)


def ami_name(project: str) -> str:
    return f"{project}-models-{uuid.uuid4().hex[:12]}-0123abcd"


def tags_of(owner: str, run: str) -> dict[str, str]:
    given = {Tag.PROJECT.value: owner, Tag.RUN.value: run, Tag.RUN_UNTIL.value: UNTIL if run else ""}
    return {key: value for key, value in given.items() if value}


@pytest.mark.parametrize("kind", LeftoverKind)
def test_thing_of_a_run_is_found_with_its_run_removed_and_gone(account: Account, kind: LeftoverKind) -> None:
    made = account.make(kind, account.project, "r1")
    item = account.found(made)
    assert item
    assert (item.kind, item.project, item.run_id, item.users) == (kind, account.project, "r1", frozenset())
    assert item.created
    assert item.run_until == datetime.fromisoformat(UNTIL)
    assert account.leftovers.exists(item)
    account.leftovers.remove(item)
    assert not account.leftovers.exists(item)
    assert account.found(made) is None
    account.leftovers.remove(item)


@pytest.mark.parametrize("kind", LeftoverKind)
def test_thing_of_another_project_is_not_found(account: Account, kind: LeftoverKind) -> None:
    made = account.make(kind, "other", "r1")
    assert account.found(made) is None


def test_ami_without_tags_is_known_by_its_name(account: Account) -> None:
    item = account.found(account.make(LeftoverKind.AMI, "", ""))
    assert item
    assert (item.project, item.run_id) == ("", "")


@pytest.mark.parametrize("kind", [kind for kind in LeftoverKind if kind.is_temporary])
def test_temporary_thing_of_anybody_is_found_with_the_age_in_its_name(account: Account, kind: LeftoverKind) -> None:
    item = account.found(account.make(kind, "", ""))
    assert item
    assert item.project == ""
    assert item.created
    assert abs((item.created - datetime.now(UTC)).total_seconds()) < 60


@pytest.mark.rehearsal
def test_key_pair_and_group_of_an_instance_are_its_runs_and_in_use(emulated_session: AwsSession, emulator: Any) -> None:
    account = emulated(emulated_session, emulator.facts["base_ami"], "vision-in-use")
    pair, group = (account.make(kind, "", "") for kind in LeftoverKind if kind.is_temporary)
    ec2 = emulated_session.client("ec2")
    named = account.found(pair)
    assert named
    tags = [{"Key": key, "Value": value} for key, value in tags_of(account.project, "r2").items()]
    started = ec2.run_instances(
        ImageId=emulator.facts["base_ami"],
        MinCount=1,
        MaxCount=1,
        KeyName=named.name,
        SecurityGroupIds=[group],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"][0]["InstanceId"]
    for item in (account.found(pair), account.found(group)):
        assert item
        assert (item.run_id, item.users) == ("r2", frozenset({started}))
    ec2.terminate_instances(InstanceIds=[started])
    found = account.found(pair)
    assert found
    assert (found.run_id, found.users) == ("r2", frozenset())


@pytest.mark.rehearsal
def test_snapshot_of_a_standing_ami_and_a_finished_ami_are_no_leftovers(
    emulated_session: AwsSession, emulator: Any
) -> None:
    account = emulated(emulated_session, emulator.facts["base_ami"], "vision-standing")
    ami = account.make(LeftoverKind.AMI, account.project, "r3")
    emulated_session.client("ec2").create_tags(Resources=[ami], Tags=[{"Key": Tag.STATUS.value, "Value": "verified"}])
    assert not [item for item in account.leftovers.find() if ami in (item.id, item.name)]
