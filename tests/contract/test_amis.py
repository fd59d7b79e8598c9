"""What every `ports.Amis` does."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId, AmiRecord, Grant
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.ports.amis import Amis
from lifecycle.workflows.wait_available import wait_available
from tests.failures import code_of
from tests.fakes.amis import BASE_PARAMETER, FakeAmis
from tests.fakes.clock import FakeClock

REGION = "us-west-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """AMIs in us-west-2 and in another region, a parameter that names a base AMI, and ways to make AMIs from an instance, or from
    snapshots, and to let an account copy a snapshot.

    `make`: (name, tags) -> (AMI, instance), `register`: (name, snapshots) -> AMI, `share_snapshot`: (snapshot, account). `orphan` removes
    an AMI, and not its snapshots.
    """

    amis: Amis
    elsewhere: Amis
    parameter: str
    make: Callable[[str, dict[str, str]], tuple[AmiRecord, str]]
    register: Callable[[str, tuple[str, ...]], AmiRecord]
    share_snapshot: Callable[[str, str], None]
    orphan: Callable[[AmiId], object]


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        return _in_memory()
    facts = request.getfixturevalue("emulator").facts
    return _emulated(request.getfixturevalue("emulated_session"), facts["base_ami"], facts["base_ami_parameter"])


def _in_memory() -> Account:
    amis = FakeAmis()

    def make(name: str, tags: dict[str, str]) -> tuple[AmiRecord, str]:
        instance_id = f"i-{uuid.uuid4().hex[:17]}"
        return amis.add(name, instance_id=instance_id, tags=tags), instance_id

    return Account(
        amis=amis,
        elsewhere=FakeAmis(),
        parameter=BASE_PARAMETER,
        make=make,
        register=amis.register,
        orphan=amis.orphan,
        share_snapshot=lambda snapshot, account: amis.set_snapshot_grants(snapshot, Grant(account=account)),
    )


def _emulated(session: AwsSession, base_ami: str, parameter: str) -> Account:
    ec2, amis = session.client("ec2"), Ec2Amis(session)

    def make(name: str, tags: dict[str, str]) -> tuple[AmiRecord, str]:
        started = ec2.run_instances(ImageId=base_ami, MinCount=1, MaxCount=1, InstanceType="m6i.large")
        instance_id = started["Instances"][0]["InstanceId"]
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        specifications = [{"ResourceType": "image", "Tags": pairs}] if pairs else []
        made = ec2.create_image(InstanceId=instance_id, Name=name, TagSpecifications=specifications)
        ec2.terminate_instances(InstanceIds=[instance_id])
        return amis.get(AmiId(made["ImageId"])), instance_id

    def register(name: str, snapshot_ids: tuple[str, ...]) -> AmiRecord:
        disks = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}} for snapshot in snapshot_ids]
        made = ec2.register_image(Name=name, RootDeviceName="/dev/xvda", BlockDeviceMappings=disks)
        return amis.get(AmiId(made["ImageId"]))

    def share_snapshot(snapshot_id: str, account: str) -> None:
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="add", UserIds=[account]
        )

    return Account(
        amis=amis,
        elsewhere=Ec2Amis(session, "eu-west-1"),
        parameter=parameter,
        make=make,
        register=register,
        orphan=lambda ami_id: ec2.deregister_image(ImageId=ami_id),
        share_snapshot=share_snapshot,
    )


@pytest.fixture
def name() -> str:
    return f"contract-{uuid.uuid4().hex[:12]}"


def test_base_is_resolved_from_a_parameter_or_taken_by_id(account: Account) -> None:
    base = account.amis.resolve_base(account.parameter)
    assert account.amis.resolve_base(base) == base
    assert account.amis.get(base).architecture == "x86_64"
    assert account.amis.get(base).size_gib == 30


def test_unknown_base_is_a_usage_error(account: Account) -> None:
    for reference in ("/no/such/parameter", "most-recent"):
        with pytest.raises(CapctlError) as failed:
            account.amis.resolve_base(reference)
        assert failed.value.exit_code == ExitCode.USAGE


def test_missing_ami_is_an_error_by_id_and_none_by_name(account: Account, name: str) -> None:
    assert code_of(lambda: account.amis.get(AmiId("ami-0123456789abcdef0"))) == "ami-missing"
    assert account.amis.by_name(name) is None


def test_ami_is_found_by_name_before_it_is_tagged(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    found = account.amis.by_name(name)
    assert found is not None
    assert (found.id, found.status, len(found.snapshot_ids)) == (made.id, None, 1)


def test_base_ami_of_another_account_is_not_found_by_name(account: Account) -> None:
    base = account.amis.get(account.amis.resolve_base(account.parameter))
    assert account.amis.by_name(base.name) is None


def test_list_holds_one_project(account: Account, name: str) -> None:
    first, _ = account.make(f"{name}-1", {Tag.PROJECT: name})
    second, _ = account.make(f"{name}-2", {Tag.PROJECT: name})
    account.make(f"{name}-3", {Tag.PROJECT: f"{name}-other"})
    assert {ami.id for ami in account.amis.list(name)} == {first.id, second.id}


def test_ami_tells_the_instance_it_was_made_from(account: Account, name: str) -> None:
    made, instance_id = account.make(name, {})
    assert account.amis.source_instance(made) == instance_id
    assert account.amis.source_instance(account.amis.get(account.amis.resolve_base(account.parameter))) == ""


def test_tags_are_added_and_replaced(account: Account, name: str) -> None:
    made, _ = account.make(name, {Tag.PROJECT: name})
    account.amis.tag(made.id, {Tag.STATUS.value: AmiStatus.CANDIDATE.value})
    account.amis.tag(made.id, {Tag.STATUS.value: AmiStatus.VERIFIED.value})
    found = account.amis.get(made.id)
    assert found.status is AmiStatus.VERIFIED
    assert found.tags[Tag.PROJECT] == name


def test_ami_that_requires_imds_v2_reads_back_as_such(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    assert not made.imds_v2
    account.amis.require_imds_v2(made.id)
    assert account.amis.get(made.id).imds_v2


def test_tags_reach_the_snapshots(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    account.amis.tag(made.id, {Tag.RUN.value: "r1"})
    (snapshot,) = account.amis.snapshots(made.snapshot_ids)
    assert (snapshot.id, snapshot.size_gib, snapshot.tags[Tag.RUN]) == (made.snapshot_ids[0], 30, "r1")
    assert account.amis.snapshots(["snap-0123456789abcdef0"]) == ()


def test_snapshots_of_a_project_name_the_ami_they_were_made_for(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    assert account.amis.snapshots_of(name) == ()
    account.amis.tag(made.id, {Tag.PROJECT.value: name})
    account.amis.tag_snapshot(made.snapshot_ids[0], {Tag.RUN.value: "r1"})
    (snapshot,) = account.amis.snapshots_of(name)
    assert (snapshot.id, snapshot.ami_id, snapshot.tags[Tag.RUN]) == (made.snapshot_ids[0], made.id, "r1")
    assert snapshot.started


def test_snapshot_is_a_stray_when_its_ami_is_gone_and_nothing_tells_whose_it_is(account: Account, name: str) -> None:
    def strays() -> set[str]:
        return {snapshot.id for snapshot in account.amis.stray_snapshots()}

    amis = [account.make(f"{name}-{number}", {})[0] for number in range(3)]
    account.amis.tag_snapshot(amis[1].snapshot_ids[0], {"owner": "somebody"})
    account.register(name, amis[2].snapshot_ids)
    assert not strays() & {snapshot for ami in amis for snapshot in ami.snapshot_ids}
    for ami in amis:
        account.orphan(ami.id)
    assert strays() & {snapshot for ami in amis for snapshot in ami.snapshot_ids} == set(amis[0].snapshot_ids)
    (stray,) = [one for one in account.amis.stray_snapshots() if one.id in amis[0].snapshot_ids]
    assert (stray.ami_id, stray.tags) == (amis[0].id, {})


def test_snapshot_that_an_ami_has_is_not_deleted(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    assert not account.amis.delete_snapshot(made.snapshot_ids[0])
    assert len(account.amis.snapshots(made.snapshot_ids)) == 1
    assert account.amis.delete_snapshot("snap-0123456789abcdef0")


def test_deprecation_is_set_to_the_minute_and_taken_back(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    account.amis.deprecate(made.id, datetime(2027, 1, 2, 3, 4, 31, tzinfo=UTC))
    assert account.amis.get(made.id).deprecated_at == "2027-01-02T03:05:00.000Z"
    account.amis.deprecate(made.id, None)
    assert account.amis.get(made.id).deprecated_at == ""


def test_disabled_ami_stays_found_loses_its_grants_and_can_be_enabled(account: Account, name: str) -> None:
    made, _ = account.make(name, {Tag.PROJECT: name})
    account.amis.change_grants(made.id, add=[Grant(account="210987654321")])
    for _ in range(2):
        account.amis.disable(made.id)
    found = account.amis.by_name(name)
    assert found
    assert found.state is AmiState.DISABLED
    assert [ami.id for ami in account.amis.list(name)] == [made.id]
    for _ in range(2):
        account.amis.enable(made.id)
    assert account.amis.get(made.id).state is AmiState.AVAILABLE
    assert account.amis.grants(made.id) == frozenset()


def test_grants_are_added_and_removed(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    other, org = (
        Grant(account="210987654321"),
        Grant(organization="arn:aws:organizations::123456789012:organization/o-abcdefghij"),
    )
    account.amis.change_grants(made.id, add=[other, org])
    assert account.amis.grants(made.id) == {other, org}
    account.amis.change_grants(made.id, remove=[other])
    assert account.amis.grants(made.id) == {org}


def test_accounts_may_copy_the_snapshots_as_long_as_they_may_start_the_ami(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    (snapshot,) = made.snapshot_ids
    other = Grant(account="210987654321")
    unit = Grant(unit="arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-ab12-cdefghij")
    for _ in range(2):
        account.amis.change_grants(made.id, add=[other, unit])
    assert account.amis.grants(made.id) == {other, unit}
    assert account.amis.snapshot_grants(made.snapshot_ids) == {snapshot: {other}}
    for _ in range(2):
        account.amis.change_grants(made.id, remove=[other])
    assert account.amis.snapshot_grants(made.snapshot_ids) == {snapshot: frozenset()}
    account.amis.change_grants(made.id, add=[other])
    account.amis.disable(made.id)
    assert account.amis.snapshot_grants(made.snapshot_ids) == {snapshot: frozenset()}


def test_snapshot_that_two_amis_have_keeps_its_tags_and_grants_when_one_is_changed(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    account.amis.tag(made.id, {Tag.RUN.value: "r1"})
    other = account.register(f"{name}-by-hand", made.snapshot_ids)
    assert account.amis.holders(made.snapshot_ids) == {made.snapshot_ids[0]: {made.id, other.id}}
    account.share_snapshot(made.snapshot_ids[0], "210987654321")
    account.amis.disable(made.id)
    account.amis.tag(made.id, {Tag.RUN.value: "r2"})
    account.amis.untag(made.id, [Tag.RUN])
    assert [snapshot.tags for snapshot in account.amis.snapshots(made.snapshot_ids)] == [{Tag.RUN: "r1"}]
    assert account.amis.snapshot_grants(made.snapshot_ids) == {made.snapshot_ids[0]: {Grant(account="210987654321")}}
    assert account.amis.deregister(made.id) == made.snapshot_ids
    assert account.amis.holders(made.snapshot_ids) == {made.snapshot_ids[0]: {other.id}}


def test_tags_are_taken_off_the_ami_and_its_snapshots(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    account.amis.tag(made.id, {Tag.RUN.value: "r1", Tag.DISABLED_AT.value: "2027-01-02T03:04:05Z"})
    for _ in range(2):
        account.amis.untag(made.id, [Tag.DISABLED_AT])
    assert account.amis.get(made.id).tags == {Tag.RUN: "r1"}
    assert [snapshot.tags for snapshot in account.amis.snapshots(made.snapshot_ids)] == [{Tag.RUN: "r1"}]


def test_grants_of_an_ami_that_is_gone_are_an_error(account: Account) -> None:
    assert code_of(lambda: account.amis.grants(AmiId("ami-0123456789abcdef0"))) == "ami-missing"


def test_grants_of_an_ami_of_others_are_refused(account: Account) -> None:
    assert code_of(lambda: account.amis.grants(account.amis.resolve_base(account.parameter))) == "permission-denied"


def test_copy_has_the_name_and_the_tags(account: Account, name: str) -> None:
    made, _ = account.make(name, {Tag.PROJECT: name})
    copy = account.elsewhere.get(account.elsewhere.copy_from(REGION, made, tags={Tag.PROJECT.value: name}))
    assert (copy.name, copy.tags) == (name, {Tag.PROJECT: name})
    assert (copy.source_ami, copy.source_region) == (made.id, REGION)
    (snapshot,) = account.elsewhere.snapshots(copy.snapshot_ids)
    assert (snapshot.ami_id, snapshot.source_ami) == (copy.id, made.id)
    assert account.elsewhere.source_instance(copy) == ""
    assert [snapshot.tags for snapshot in account.elsewhere.snapshots(copy.snapshot_ids)] == [{Tag.PROJECT: name}]
    assert code_of(lambda: account.elsewhere.copy_from(REGION, made, tags={})) == "ami-name-taken"


def test_wait_ends_when_the_ami_is_available(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    assert wait_available(account.amis, FakeClock(), made.id, timeout_s=60).state is AmiState.AVAILABLE


def test_deregistered_ami_is_gone(account: Account, name: str) -> None:
    made, _ = account.make(name, {})
    account.amis.deregister(made.id)
    assert account.amis.by_name(name) is None
    assert code_of(lambda: account.amis.get(made.id)) == "ami-missing"
    assert code_of(lambda: account.amis.deregister(made.id)) == "ami-missing"


@pytest.mark.rehearsal
def test_deregistering_deletes_the_snapshots_and_tagging_reaches_them(
    emulated_session: AwsSession, emulator: Any, name: str
) -> None:
    account = _emulated(emulated_session, emulator.facts["base_ami"], emulator.facts["base_ami_parameter"])
    made, _ = account.make(name, {})
    ec2 = emulated_session.client("ec2")
    account.amis.tag(made.id, {Tag.RUN.value: "r1"})
    (snapshot,) = ec2.describe_snapshots(SnapshotIds=list(made.snapshot_ids))["Snapshots"]
    assert {"Key": "capctl:run", "Value": "r1"} in snapshot["Tags"]
    account.amis.deregister(made.id)
    left = ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": list(made.snapshot_ids)}])
    assert left["Snapshots"] == []
