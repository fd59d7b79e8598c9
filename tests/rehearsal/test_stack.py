"""The real Pulumi CLI with the rehearsal's provider against the emulator: what Batch sees of a release, and what a kill leaves."""

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

import pytest

from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.app import App
from lifecycle.config.schema import RegistrySection
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.lifecycle_policy import is_same_policy
from lifecycle.domain.tags import Tag
from lifecycle.errors import RolledBack
from lifecycle.ports.stack import Operation
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.services.registry import RunningRegistry
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.wanted_release import Wanted
from tests.fakes.amis import FakeAmis
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET
from tests.fakes.runs import RUN
from tests.fakes.ui import FakeUi
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
