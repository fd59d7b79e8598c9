"""What every `ports.Instances` does."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass, replace

import pytest

from lifecycle.adapters.aws.instances import Ec2Instances
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import digest_of
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.domain.place import Place
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports.instances import BootRequest, Instances, InstanceState
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.fakes.amis import BASE_AMI
from tests.fakes.instances import FakeInstances
from tests.fakes.objects import FakeObjects

MODELS = ModelSet(files=(ModelFile(path="models/age.onnx", bytes=3, sha256=digest_of(b"age").removeprefix("sha256:")),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Instances that do not report, and a request for one of them."""

    instances: Instances
    request: BootRequest


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        fake = FakeInstances(FakeObjects())
        fake.is_mute = True
        return Account(instances=fake, request=_request(fake, BASE_AMI))
    instances = Ec2Instances(request.getfixturevalue("emulated_session"))
    base_ami = request.getfixturevalue("emulator").facts["base_ami"]
    return Account(instances=instances, request=_request(instances, base_ami))


def _request(instances: Instances, ami_id: str) -> BootRequest:
    run_id = uuid.uuid4().hex
    return BootRequest(
        ami_id=AmiId(ami_id),
        place=Place(instance_type="m6i.large", subnet_id=None),
        profile=None,
        inputs={name: f"https://s3.example/{name}?secret" for name in instances.inputs(MODELS)},
        report_url="https://s3.example/report?secret",
        limit_s=60,
        tags={"Name": "vision-verify", Tag.RUN: run_id, Tag.RUN_UNTIL: "2026-11-21T15:07:02Z"},
        token=run_id,
    )


def test_inputs_hold_the_marker_of_the_set(account: Account) -> None:
    assert MODELS.marker() in account.instances.inputs(MODELS).values()


def test_instance_runs_until_it_is_terminated(account: Account) -> None:
    instances = account.instances
    instance_id = instances.launch(account.request)
    assert instances.state(instance_id).state is InstanceState.RUNNING
    for _ in range(2):
        instances.terminate(instance_id)
    assert instances.state(instance_id).state.is_over


def test_same_token_never_gives_two(account: Account) -> None:
    instances = account.instances
    first = instances.launch(account.request)
    assert instances.launch(account.request) == first
    other = instances.launch(replace(account.request, token=uuid.uuid4().hex))
    assert other != first
    for instance_id in (first, other):
        instances.terminate(instance_id)
    assert instances.launch(account.request) == first
    assert instances.state(first).state.is_over


def test_instance_that_nobody_knows_has_no_state_and_needs_no_end(account: Account) -> None:
    nowhere = "i-0123456789abcdef0"
    account.instances.terminate(nowhere)
    assert account.instances.state(nowhere).state is InstanceState.UNKNOWN


@pytest.mark.rehearsal
def test_nobody_can_log_in_and_the_instance_ends_itself(emulated_session: AwsSession, emulator: Emulator) -> None:
    instances, ec2 = Ec2Instances(emulated_session), emulated_session.client("ec2")
    request = _request(instances, emulator.facts["base_ami"])
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    instance_id = instances.launch(replace(request, place=Place(instance_type="c7i.large", subnet_id=subnet)))
    (found,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert (found["InstanceType"], found["SubnetId"], found.get("KeyName")) == ("c7i.large", subnet, None)
    assert found["MetadataOptions"]["HttpTokens"] == "required"
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == request.tags

    def attribute(name: str, key: str) -> str:
        return str(ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=name)[key]["Value"])

    behaviour = attribute("instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior")
    script = base64.b64decode(attribute("userData", "UserData")).decode()
    assert behaviour == "terminate"
    assert script.startswith("#!/bin/bash\n")
    assert all(url in script for url in (*request.inputs.values(), request.report_url))
    instances.terminate(instance_id)


@pytest.mark.rehearsal
def test_refusal_says_of_which_ami(emulated_session: AwsSession) -> None:
    instances = Ec2Instances(emulated_session)
    with pytest.raises(CapctlError) as failed:
        instances.launch(_request(instances, "ami-0123456789abcdef0"))
    assert "ami-0123456789abcdef0" in failed.value.message
