"""Each call to AWS of `ami bake` fails once in turn: the result is right, or right after the next run.

The workflow, its adapters, the baker's leases, log and clean-up are real, against an emulator. Packer is the rehearsal's stand-in, run
in this process instead of one of its own; its calls are not capctl's and do not fail here. No time passes for whoever waits.
"""

from __future__ import annotations

import io
import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.packer_process import StreamingPacker
from lifecycle.app import App
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import CANDIDATE
from lifecycle.domain.digest import digest_of
from lifecycle.domain.layout import Folder
from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.standins import packer
from lifecycle.workflows.bake import bake
from lifecycle.workflows.bake_evidence import keep_evidence
from lifecycle.workflows.execute import execute
from lifecycle.workflows.model_objects import object_uri
from tests.fakes.clock import FakeClock
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.aws_faults import Call, Calls, Failing, Fault, early_reads, every_fault
from tests.rehearsal.stage_parts import REGION, Aws, emulated_credentials

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]
_CODES = {"aws-throttled", "aws-unclear", "aws-unreachable"}
CONTENTS = {"models/age.onnx": b"age", "checkpoints/llava/weights.bin": b"weights"}


class PackerHere(StreamingPacker):
    """The stand-in for Packer in this process; whatever its caller raises of a line ends it as a signal would."""

    def execute_cmd(self, packer_cmd: str, template: str | None = None, **options: Any) -> tuple[int, str, str]:
        lines = _Lines(self._on_line)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with redirect_stdout(lines):
                status = packer.main([packer_cmd, *self._explode_args(**options), *([template] if template else [])])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if lines.failure:
            raise lines.failure
        return status, "", ""


class _Lines(io.TextIOBase):
    def __init__(self, on_line: Any) -> None:
        self.failure: CapctlError | None = None
        self._on_line, self._begun = on_line, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            try:
                self._on_line(line)
            except CapctlError as error:
                self.failure = error
                raise packer.Cancelled from error
        return len(text)


class Bakery:
    """A project on an emulator whose models are pushed; each command is a run of its own, whose calls may fail."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.aws = Aws(emulator.endpoint)
        ami = {"base": emulator.facts["base_ami_parameter"], "ssh_interface": "private_ip"}
        self.target = make_target(folder, endpoint_url=emulator.endpoint, ami=ami)
        self.session = App(self.target, FakeUi()).session
        self.app = self._app()
        self.runs: list[str] = []
        self.aws.s3.create_bucket(Bucket=self.target.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._push()
        self.instance = self.aws.ec2.run_instances(ImageId=emulator.facts["base_ami"], MinCount=1, MaxCount=1)[
            "Instances"
        ][0]["InstanceId"]
        self.before = self.left()
        self.calls = Calls(*(self.session.client(service) for service in ("sts", "ec2", "ssm", "s3")))

    def _app(self) -> App:
        app = App(self.target, FakeUi())
        app.__dict__.update(session=self.session, clock=FakeClock(datetime.now(UTC)))
        return app

    def _push(self) -> None:
        files = []
        for path, data in CONTENTS.items():
            source = self.target.path("models") / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(data)
            files.append(ModelFile(path=path, bytes=len(data), sha256=digest_of(data).removeprefix("sha256:")))
            uri = object_uri(self.target, files[-1])
            self.app.objects.put(source, uri, sha256=files[-1].sha256, progress=lambda _: None)
        self.app.model_lock.write(model_set(tuple(files)))

    def bake(self) -> None:
        """One command; it asks anew whose credentials these are."""
        self.session.__dict__.pop("_checked_account", None)
        run = Run(id=f"20260101-{len(self.runs):06}-abcdef", command="capctl ami bake", user="tester")
        self.runs.append(run.id)
        app = self._app()
        assert bake(app, self.target, run, force=False, carry_out=lambda plan: execute(plan, app, run))

    def made(self) -> list[Call]:
        """The calls of a bake that nothing disturbs."""
        with self.calls.watched() as made:
            self.bake()
        self.require_right()
        return made

    def fails(self, failing: Failing) -> bool:
        """Whether a bake with that fault fails; one that does says what to do."""
        failure: CapctlError | None = None
        with self.calls.watched(failing):
            try:
                self.bake()
            except CapctlError as error:
                failure = error
        assert failure is None or (failure.code in _CODES and failure.hint), (failing, failure)
        return failure is not None

    def amis(self) -> tuple[AmiRecord, ...]:
        return self.app.amis.list(self.target.project)

    def require_right(self) -> None:
        """One verified AMI, of one run, which the channel names, and nothing else of any bake."""
        (ami,) = self.amis()
        (snapshot,) = self.app.amis.snapshots(ami.snapshot_ids)
        assert (ami.status, ami.is_proven, ami.imds_v2) == (AmiStatus.VERIFIED, True, True)
        assert (ami.tags[Tag.RUN] in self.runs, snapshot.tags) == (True, ami.tags)
        assert {Tag.EVIDENCE, Tag.VERIFIED} <= ami.tags.keys()
        named = self.app.channels.read(CANDIDATE)
        assert named
        assert named.ami_id == ami.id
        assert self.left() == self.before
        assert self.app.bake_runs.known() == ()

    def left(self) -> dict[str, set[str]]:
        """What bakes must not leave."""
        ec2 = self.aws.ec2
        images = ec2.describe_images(Owners=["self"])["Images"]
        named = {disk["Ebs"]["SnapshotId"] for image in images for disk in image["BlockDeviceMappings"]}
        alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
        reservations = ec2.describe_instances(Filters=alive)["Reservations"]
        return {
            "instances": {one["InstanceId"] for reservation in reservations for one in reservation["Instances"]},
            "volumes": {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]},
            "snapshots": {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]} - named,
            "key pairs": {one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]},
            "groups": {one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]},
        }

    def forget(self) -> None:
        """No AMI is there, and no channel."""
        for ami in self.amis():
            self.aws.ec2.deregister_image(ImageId=ami.id, DeleteAssociatedSnapshots=True)
        self.aws.ssm.delete_parameters(Names=[f"/capctl/{self.target.project}/ami/{CANDIDATE}"])

    def leave_unfinished(self) -> None:
        """Only an AMI is there, as it is when Packer has made it, and the report of its instance."""
        asked = self.unfinished
        self.forget()
        self.aws.ec2.create_image(InstanceId=self.instance, **asked)

    @cached_property
    def unfinished(self) -> dict[str, Any]:
        """What CreateImage is asked for."""
        self.bake()
        (ami,) = self.amis()
        uri = self.target.uri(Folder.EVIDENCE, f"{ami.tags[Tag.EVIDENCE].removeprefix('sha256:')}.json")
        report = json.loads(b"".join(self.app.objects.chunks(uri)))
        keep_evidence(self.app, self.target, report | {"instance_id": self.instance})
        of_packer = {key: value for key, value in ami.tags.items() if key not in {Tag.EVIDENCE, Tag.VERIFIED}}
        tags = of_packer | {Tag.STATUS.value: AmiStatus.CANDIDATE.value}
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        specified = [{"ResourceType": kind, "Tags": pairs} for kind in ("image", "snapshot")]
        return {"Name": ami.name, "TagSpecifications": specified}


@pytest.fixture(scope="module")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bakery]:
    options = EmulatorOptions(state=tmp_path_factory.mktemp("emulator"), rehearsal=f"test-{uuid.uuid4().hex[:8]}")
    programs = tmp_path_factory.mktemp("bin")
    packer.write_packer(programs)
    with (
        Emulator(options, module="tests.rehearsal.past_emulator") as emulator,
        emulated_credentials(PATH=f"{programs}:{os.environ['PATH']}"),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("lifecycle.adapters.packer_cli.StreamingPacker", PackerHere)
        yield Bakery(emulator, tmp_path_factory.mktemp("project"))


def test_any_call_until_packer_has_made_the_ami_may_fail(bakery: Bakery) -> None:
    bakery.forget()
    made = bakery.made()
    bakery.forget()
    for failing in every_fault(made):
        if not bakery.fails(failing):
            bakery.require_right()
            bakery.forget()
        elif bakery.amis():
            break
    # What was left by the failures before is found here too.
    bakery.bake()
    bakery.require_right()
    assert Call(service="s3", operation="PutObject") in made[: failing.number]


def test_any_call_that_finishes_an_ami_may_fail(bakery: Bakery) -> None:
    bakery.leave_unfinished()
    made = bakery.made()
    changes = [call.operation for call in made if not call.is_read]
    assert {"CreateTags", "ModifyImageAttribute", "PutParameter"} == set(changes)
    for failing in every_fault(made):
        bakery.leave_unfinished()
        changes_nothing = made[failing.number].is_read or failing.fault is Fault.THROTTLED
        if not bakery.fails(failing) or not changes_nothing:
            # The next run finds the same after a read that failed as after a change that was refused, in whichever way.
            bakery.bake()
            bakery.require_right()
    bakery.bake()
    bakery.require_right()


def test_reads_that_do_not_know_of_the_last_change_make_no_bake_fail(bakery: Bakery) -> None:
    for early in early_reads(7):
        bakery.leave_unfinished()
        with bakery.calls.watched(early=early):
            bakery.bake()
        bakery.require_right()
        assert early.told
