"""The real Pulumi CLI with the rehearsal's provider against the emulator: what Batch sees of a release, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.app import App
from lifecycle.config.image_sections import RegistrySection
from lifecycle.config.schema import NetworkSection
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.lifecycle_policy import is_same_policy
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, RolledBack
from lifecycle.ports.stack import Operation
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.services.registry import RunningRegistry
from lifecycle.workflows.bootstrap import plan_bootstrap
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.wanted_release import Wanted
from tests.fakes.amis import FakeAmis
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET, make_release
from tests.fakes.runs import RUN
from tests.fakes.ui import FakeUi
from tests.rehearsal.earlier_base import earlier_base
from tests.rehearsal.emulator_parts import push
from tests.rehearsal.killed_runs import MARK, marked
from tests.rehearsal.stage_parts import PulumiStage, pulumi_stage, until

pytestmark = pytest.mark.rehearsal

_POLICY, _REPOSITORY = "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:ecr/repository:Repository"


@pytest.fixture(scope="module")
def stage(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiStage]:
    with pulumi_stage(emulator, tmp_path_factory.mktemp("stack")) as stage:
        stage.run().apply_base()
        yield stage


@pytest.fixture(autouse=True)
def _empty(stage: PulumiStage) -> Iterator[None]:
    yield
    stack = stage.run()
    if ids := {made.id for made in stack.releases()}:
        stack.remove_releases(ids)


def test_host_configuration_is_what_batch_sees(stage: PulumiStage) -> None:
    release = stage.release(4)
    stage.run().add_release(release)
    batch = stage.session.client("batch")
    (environment,) = batch.describe_compute_environments(computeEnvironments=[f"vision-{release.id}"])[
        "computeEnvironments"
    ]
    assert environment["status"] == "VALID"
    assert environment["computeResources"]["launchTemplate"]["version"] == "1"
    (definition,) = batch.describe_job_definitions(jobDefinitionName=f"vision-{release.id}", status="ACTIVE")[
        "jobDefinitions"
    ]
    assert definition["containerProperties"]["image"] == str(release.image)
    assert all(mount["readOnly"] for mount in definition["containerProperties"]["mountPoints"])


def _held(stage: PulumiStage, release_id: str) -> list[Any]:
    """What AWS holds of a release, each revision and version of it."""
    batch, ec2, name = stage.session.client("batch"), stage.session.client("ec2"), f"vision-{release_id}"
    found: list[Any] = [
        batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"],
        batch.describe_job_queues(jobQueues=[name])["jobQueues"],
        batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"],
        ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"],
        ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"],
    ]
    assert all(found)
    return found


def test_release_of_an_earlier_version_is_held_unchanged_while_others_come_and_go(stage: PulumiStage) -> None:
    earlier, release = stage.stand_earlier(5), stage.release(6)
    before = _held(stage, earlier)
    stage.run().add_release(release)
    assert _held(stage, earlier) == before
    stage.run().remove_releases({release.id})
    assert _held(stage, earlier) == before


def test_base_stack_of_an_earlier_version_loses_nothing_and_gets_what_came_later(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pulumi_stage(emulator, tmp_path, project="elder") as stage:
        with monkeypatch.context() as patch:
            patch.setattr("pulumi_stack.base.base", earlier_base)
            before = stage.run().apply_base()
        assert (before.queue_url, before.tasks_table, before.subnet_ids) == ("", "", ())
        stage.session.client("dynamodb").put_item(TableName=before.table, Item={"id": {"S": "pointer"}})
        operations = {one.name: one.operation for one in stage.run().preview_base()}
        assert set(operations.values()) == {Operation.SAME, Operation.CREATE, Operation.UPDATE}
        changed = {name for name, operation in operations.items() if operation is not Operation.SAME}
        assert changed == {"dead", "elder-job", "ingest", "pointers", "tasks"}
        after = stage.run().apply_base()
        assert {one.operation for one in stage.run().preview_base()} == {Operation.SAME}
        later = {"queue_url": "", "dead_letters_url": "", "tasks_table": ""}
        assert replace(after, **later) == before
        assert stage.session.client("dynamodb").scan(TableName=after.table)["Count"] == 1


def test_new_video_is_told_to_the_queue_and_nothing_else_is(stage: PulumiStage) -> None:
    outputs, s3, sqs = stage.run().base(), stage.session.client("s3"), stage.session.client("sqs")
    sqs.purge_queue(QueueUrl=outputs.queue_url)
    for key in ("videos/a b.mp4", "samples/b.mp4", "results/c.json"):
        s3.put_object(Bucket=outputs.bucket, Key=key, Body=b"")
    told = sqs.receive_message(QueueUrl=outputs.queue_url, MaxNumberOfMessages=10).get("Messages", [])
    keys = [record["s3"]["object"]["key"] for one in told for record in json.loads(one["Body"])["Records"]]
    assert [unquote_plus(key) for key in keys] == ["videos/a b.mp4"]
    for key in ("videos/a b.mp4", "samples/b.mp4", "results/c.json"):
        s3.delete_object(Bucket=outputs.bucket, Key=key)


def test_network_of_the_base_stack_carries_a_release_and_is_never_lost(emulator: Emulator, tmp_path: Path) -> None:
    with pulumi_stage(emulator, tmp_path, project="alone") as stage:
        wanted = NetworkSection(create=True, zones=("a", "b"))
        settings = replace(stage.target.settings, network=wanted)
        own = replace(stage, target=replace(stage.target, settings=settings))
        outputs = own.run().apply_base()
        assert {one.operation for one in own.run().preview_base()} == {Operation.SAME}
        ec2 = own.session.client("ec2")
        subnets = ec2.describe_subnets(SubnetIds=list(outputs.subnet_ids))["Subnets"]
        assert [one["AvailabilityZone"] for one in subnets] == ["us-west-2a", "us-west-2b"]
        (group,) = ec2.describe_security_groups(GroupIds=list(outputs.security_group_ids))["SecurityGroups"]
        assert group["IpPermissions"] == []
        assert {one["VpcId"] for one in subnets} == {group["VpcId"]}
        network = {"subnet_ids": outputs.subnet_ids, "security_group_ids": outputs.security_group_ids}
        release = replace(make_release(9, gpus=0, **network), ami_id=own.ami_id)
        assert [one.id for one in own.run().add_release(release)] == [release.id]
        own.run().remove_releases({release.id})
        kinds = {one.type for one in stage.run().preview_base() if one.operation is Operation.DELETE}
        assert "aws:ec2/vpc:Vpc" in kinds
        with pytest.raises(CapctlError) as failed:
            plan_bootstrap(_ports(stage), stage.target, RUN)
        assert failed.value.code == "base-would-lose"
        assert "`network`" in failed.value.hint


def _ports(stage: PulumiStage) -> App:
    ports = App(stage.target, FakeUi())
    ports.__dict__ |= {"session": stage.session, "stack": stage.run()}
    return ports


def _with_registry(stage: PulumiStage, **registry: Any) -> PulumiStack:
    image = replace(stage.target.settings.image, registry=RegistrySection(**registry))
    target = replace(stage.target, settings=replace(stage.target.settings, image=image))
    return replace(stage, target=target).run()


def _changes(stack: PulumiStack) -> dict[str, Operation]:
    return {one.type: one.operation for one in stack.preview_base() if one.operation is not Operation.SAME}


def test_repository_gets_another_policy_and_other_settings_and_is_never_replaced_for_them(stage: PulumiStage) -> None:
    ecr, name = stage.session.client("ecr"), stage.target.repository_name

    def policy() -> str:
        return str(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])

    assert is_same_policy(policy(), stage.target.lifecycle_policy.text())
    wanted = {"expire_code_days": 5, "movable_tags": ("dev-*",), "scan_on_push": False}
    assert _changes(_with_registry(stage, **wanted)) == {_POLICY: Operation.REPLACE, _REPOSITORY: Operation.UPDATE}
    _with_registry(stage, **wanted).apply_base()
    assert '"countNumber":5,' in policy()
    (repository,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert [one["filter"] for one in repository["imageTagMutabilityExclusionFilters"]] == ["dev-*"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": False}
    key = "arn:aws:kms:us-west-2:123456789012:key/1"
    assert _changes(_with_registry(stage, **wanted, kms_key_arn=key))[_REPOSITORY] is Operation.REPLACE


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_killed_creation_is_finished_by_the_next_run(
    stage: PulumiStage, tmp_path: Path, number: signal.Signals, delay_s: float
) -> None:
    earlier, release = stage.stand_earlier(3), stage.release(int(10 + delay_s * 100) + number)
    before = _held(stage, earlier)
    mark = f"kill-{uuid.uuid4().hex}"
    code = _APPLY.format(folder=str(Path(__file__).parents[2]), target=repr(stage.target), release=repr(release))
    script = tmp_path / "apply.py"
    script.write_text(code)
    environment = {**os.environ, MARK: mark}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        until(lambda: len(marked(mark)) >= 3)
        time.sleep(delay_s)
        victims = [running.pid] if number is signal.SIGTERM else marked(mark)
        for pid in victims:
            _signal(pid, number)
    until(lambda: marked(mark) == [])
    assert [made.id for made in stage.run().add_release(release)] == [earlier, release.id]
    assert [change.operation for change in stage.run().preview_release(release)] == [Operation.SAME] * 8
    assert _held(stage, earlier) == before


# Runs as a process of its own, so that it can be killed.
_APPLY = """
import signal, sys
sys.path.insert(0, {folder!r})
from pathlib import PosixPath
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.config.image_sections import *
from lifecycle.config.schema import *
from lifecycle.config.target import Target
from lifecycle.domain.release import *
from lifecycle.domain.image import ImageRef
from lifecycle.errors import Interrupted
from tests.fakes.ui import FakeUi

def interrupt(*_):
    raise Interrupted("interrupted", "The command was interrupted")

signal.signal(signal.SIGTERM, interrupt)
target = {target}
PulumiStack(target, AwsSession(target), SystemClock(), FakeUi()).add_release({release})
"""


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def test_release_whose_image_cannot_run_is_taken_back(stage: PulumiStage, registry: RunningRegistry) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    digest = push(registry, "vision", "", b"no archive at all")
    amis = FakeAmis()
    amis._own[stage.ami_id] = replace(
        amis.add("models", tags={Tag.PROJECT: "vision", Tag.STATUS: "verified", Tag.MODEL_SET: MODEL_SET}),
        id=stage.ami_id,
    )
    images = FakePorts()
    base = images.registry.index(images.base_builder.build().ref)
    image = ImageRef(repository=stage.target.repository, digest=Digest(digest))
    images.registry.store("broken", base.layers, ref=image)
    ports, objects = App(stage.target, FakeUi()), FakeObjects(stage.target.bucket)
    objects.write(str(stage.target.settings.smoke.video_url), b"a face")
    ports.__dict__ |= {
        "amis": amis,
        "objects": objects,
        "registry": images.registry,
        "base_builder": images.base_builder,
        "session": stage.session,
        "stack": stage.run(),
    }
    wanted = Wanted(ami=stage.ami_id, image=str(image))
    with pytest.raises(RolledBack) as failed:
        execute(plan_deploy(ports, stage.target, RUN, wanted), ports, RUN)
    assert failed.value.code == "smoke-failed"
    assert ports.pointers.read() is None
    assert stage.run().releases() == ()
