"""Each kind of call to AWS of `ami copy` and `ami share` fails once at each point: the result is right, or right after the next run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from lifecycle.app import App
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.domain.place import Place
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports.baker import BakeRequest
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.workflows.bake_evidence import keep_evidence
from lifecycle.workflows.bake_steps import bake_tags
from lifecycle.workflows.copy_ami import copy_ami, copy_failure
from lifecycle.workflows.execute import execute
from lifecycle.workflows.share_ami import plan_revoke, plan_share
from tests.failures import failure
from tests.fakes.baker import evidence_of
from tests.fakes.clock import FakeClock
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.aws_faults import Call, Calls, Failing, Fault, early_reads
from tests.rehearsal.stage_parts import REGION, Aws, emulated_credentials

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(600)]
ELSEWHERE = "eu-west-1"
GRANTS = (
    Grant(account="210987654321"),
    Grant(organization="arn:aws:organizations::123456789012:organization/o-abcdefghij"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An emulator that holds a verified AMI with the report of its instance, and an application for which no time passes."""

    app: App
    calls: Calls
    source: AmiRecord
    aws: Aws

    def copy(self) -> AmiId:
        """One run of `ami copy`, in the way of the command."""
        app = self.app
        (copy,) = copies = copy_ami(
            app, app.target, RUN, self.source.id, (ELSEWHERE,), carry_out=lambda plan: execute(plan, app, RUN)
        )
        if failure := copy_failure(copies):
            raise failure
        assert copy.ami is not None
        return copy.ami.id

    def share(self) -> None:
        execute(plan_share(self.app, self.app.target, self.source.id, GRANTS), self.app, RUN)

    def revoke(self) -> None:
        execute(plan_revoke(self.app, self.app.target, self.source.id, GRANTS), self.app, RUN)


@pytest.fixture(scope="module")
def account(emulator: Emulator, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with emulated_credentials():
        target = make_target(tmp_path_factory.mktemp("project"), endpoint_url=emulator.endpoint)
        aws.s3.create_bucket(Bucket=target.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        app = App(target, FakeUi())
        app.__dict__["clock"] = FakeClock()
        clients = (app.session.client(*one) for one in (("ec2", None), ("ec2", ELSEWHERE), ("s3", None)))
        yield Account(app=app, calls=Calls(*clients), source=_baked(app, target, emulator), aws=aws)


def _baked(app: App, target: Target, emulator: Emulator) -> AmiRecord:
    """What a bake leaves, without Packer."""
    ec2 = app.session.client("ec2")
    models = ModelSet(files=(ModelFile(path="models/a.onnx", bytes=3, sha256=digest_of(b"a").removeprefix("sha256:")),))
    base = app.amis.get(AmiId(emulator.facts["base_ami"]))
    inputs = BakeInputs(
        model_set=models.digest, base_ami=base.id, recipe=digest_of(b"recipe"), architecture=base.architecture
    )
    name = inputs.ami_name(target.project)
    started = ec2.run_instances(ImageId=base.id, MinCount=1, MaxCount=1, InstanceType="m6i.large")["Instances"][0]
    tags = bake_tags(inputs, project=target.project, name=name, commit="c0ffee", run=RUN)
    place = Place(instance_type="m6i.large")
    request = BakeRequest(ami_name=name, base=base, models=models, downloads={}, tags=tags, run_id=RUN.id, place=place)
    keep_evidence(app, target, evidence_of(request, started["InstanceId"]))
    ami = AmiId(ec2.create_image(InstanceId=started["InstanceId"], Name=name)["ImageId"])
    ec2.terminate_instances(InstanceIds=[started["InstanceId"]])
    (report,) = {
        uri["Key"].removeprefix("evidence/").removesuffix(".json")
        for uri in app.session.client("s3").list_objects_v2(Bucket=target.bucket, Prefix="evidence/")["Contents"]
        if "/i-" not in uri["Key"]
    }
    app.amis.require_imds_v2(ami)
    app.amis.tag(ami, tags | {Tag.STATUS.value: AmiStatus.VERIFIED.value, Tag.EVIDENCE.value: f"sha256:{report}"})
    return app.amis.get(ami)


def faults(made: list[Call]) -> Iterator[Failing]:
    """Of the reads between two changes one of a kind stands for all, since nothing changes meanwhile; a change may have happened."""
    seen: set[str] = set()
    for number, call in enumerate(made):
        if not call.is_read:
            seen.clear()
            yield from (Failing(number=number, fault=fault) for fault in (Fault.BROKEN, Fault.LOST))
        elif call.operation not in seen:
            seen.add(call.operation)
            yield Failing(number=number, fault=Fault.THROTTLED)


def run_until_right(account: Account, action: Callable[[], object], failing: Failing) -> None:
    """One run in which a call fails and, if that was an error, another one."""
    try:
        with account.calls.watched(failing):
            action()
    except CapctlError as error:
        if error.code not in {"aws-throttled", "aws-unclear", "aws-unreachable"}:
            raise
        action()


def copies_of(account: Account) -> list[AmiRecord]:
    amis = account.app.amis_in(ELSEWHERE).list(account.app.target.project)
    return [ami for ami in amis if ami.name == account.source.name]


def test_any_call_of_a_copy_may_fail(account: Account) -> None:
    elsewhere = account.app.amis_in(ELSEWHERE)
    with account.calls.watched() as made:
        first = account.copy()
    assert [call.operation for call in made].count("CopyImage") == 1
    elsewhere.deregister(first)
    for failing in faults(made):
        run_until_right(account, account.copy, failing)
        require_right_copy(account, f"{failing}, {made[failing.number]}")


def test_reads_that_do_not_know_of_the_last_change_make_no_copy_wrong(account: Account) -> None:
    for early in early_reads(7):
        try:
            with account.calls.watched(early=early):
                account.copy()
        except CapctlError:  # the copy was seen several times, and then it was not there
            account.copy()
        require_right_copy(account, str(early))
        assert early.told


def require_right_copy(account: Account, where: str) -> None:
    """There is one, as it must be; then there is none."""
    elsewhere = account.app.amis_in(ELSEWHERE)
    wanted = account.source.tags | {Tag.COPIED_FROM: f"{REGION}/{account.source.id}"}
    (copy,) = copies_of(account)
    (snapshot,) = elsewhere.snapshots(copy.snapshot_ids)
    assert (copy.state, copy.imds_v2, copy.tags) == (AmiState.AVAILABLE, True, snapshot.tags), where
    assert copy.tags.pop(Tag.VERIFIED).startswith("payload "), where
    assert copy.tags == wanted, where
    elsewhere.deregister(copy.id)


def test_copy_whose_answer_is_lost_is_not_begun_again_by_the_repeated_call(account: Account) -> None:
    sent: list[bytes] = []

    def lose_the_first_answer(request: Any, **_: Any) -> AWSResponse | None:
        sent.append(request.body)
        if len(sent) > 1:
            return None
        URLLib3Session().send(request)
        return AWSResponse(request.url, 503, {}, _Empty())

    events = account.app.session.client("ec2", ELSEWHERE).meta.events
    events.register("before-send.ec2.CopyImage", lose_the_first_answer)
    copy = account.copy()
    events.unregister("before-send.ec2.CopyImage", lose_the_first_answer)
    assert len(sent) == 2
    assert [found.id for found in copies_of(account)] == [copy]
    account.app.amis_in(ELSEWHERE).deregister(copy)


class _Empty:
    """A body without a word."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        return iter(())


@pytest.mark.parametrize("gives", [True, False], ids=["share", "revoke"])
def test_any_call_of_a_share_may_fail(account: Account, gives: bool) -> None:
    there, back = (account.share, account.revoke) if gives else (account.revoke, account.share)
    back()
    with account.calls.watched() as made:
        there()
    assert {"ModifyImageAttribute", "ModifySnapshotAttribute"} <= {call.operation for call in made}
    for failing in faults(made):
        back()
        run_until_right(account, there, failing)
        require_right_grants(account, f"{failing}, {made[failing.number]}", gives=gives)


@pytest.mark.parametrize("gives", [True, False], ids=["share", "revoke"])
def test_reads_that_do_not_know_of_the_last_change_make_no_share_fail(account: Account, gives: bool) -> None:
    there, back = (account.share, account.revoke) if gives else (account.revoke, account.share)
    for early in early_reads(5):
        back()
        with account.calls.watched(early=early):
            there()
        require_right_grants(account, str(early), gives=gives)


def require_right_grants(account: Account, where: str, *, gives: bool) -> None:
    amis, right = account.app.amis, (set(GRANTS), {GRANTS[0]}) if gives else (set[Grant](), set[Grant]())
    (of_snapshot,) = amis.snapshot_grants(amis.get(account.source.id).snapshot_ids).values()
    assert (set(amis.grants(account.source.id)), set(of_snapshot)) == right, where


def test_ami_under_the_default_key_is_shared_with_nobody(account: Account) -> None:
    app, name = account.app, f"encrypted-{uuid.uuid4().hex[:8]}"
    copy = AmiId(
        account.aws.ec2.copy_image(SourceImageId=account.source.id, SourceRegion=REGION, Name=name, Encrypted=True)[
            "ImageId"
        ]
    )
    app.amis.tag(copy, account.source.tags)
    foretold = failure(lambda: plan_share(app, app.target, copy, GRANTS))
    told = failure(lambda: app.amis.change_grants(copy, add=GRANTS))
    assert (foretold.code, foretold.message, foretold.hint) == (told.code, told.message, told.hint)
    assert (told.code, "ami.kms_key_id" in told.hint) == ("ami-not-shareable", True)
    assert app.amis.grants(copy) == frozenset()
    app.amis.deregister(copy)
