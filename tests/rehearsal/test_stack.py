"""The real Pulumi CLI with the rehearsal's provider against the emulator: what a release costs, and what a kill leaves."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifecycle.adapters.aws.jobs import BatchJobs
from lifecycle.adapters.aws.pointers import DynamoPointers
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_cli import find_pulumi
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, Tag
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.release import Release
from lifecycle.errors import CapctlError, RolledBack
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.provider.shim import write_shim
from lifecycle.rehearsal.services.registry import RunningRegistry
from lifecycle.workflows.deploy import Wanted, plan_deploy
from lifecycle.workflows.execute import execute
from tests.fakes.amis import FakeAmis
from tests.fakes.images import FakeImages
from tests.fakes.ports import FakePorts
from tests.fakes.releases import MODEL_SET, make_release
from tests.fakes.results import FakeResults
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.emulator_parts import push
from tests.rehearsal.stage_parts import Aws

pytestmark = pytest.mark.rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A target whose base stack stands, in a folder of its own."""

    target: Target
    stack: PulumiStack
    session: AwsSession
    ami_id: AmiId

    def release(self, number: int) -> Release:
        """A release that the emulator accepts."""
        return replace(
            make_release(
                number,
                subnet_ids=self.target.settings.release.subnet_ids,
                security_group_ids=self.target.settings.release.security_group_ids,
                gpus=0,
            ),
            ami_id=self.ami_id,
        )


@pytest.fixture(scope="module")
def stage(emulator: Emulator, aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    try:
        find_pulumi(os.environ.get("PATH", ""))
    except CapctlError as missing:
        pytest.skip(missing.message)
    folder = tmp_path_factory.mktemp("stack")
    network = {
        "subnet_ids": (aws.ec2.describe_subnets()["Subnets"][0]["SubnetId"],),
        "security_group_ids": (aws.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"],),
    }
    target = make_target(
        folder,
        endpoint_url=emulator.endpoint,
        release={**network, "gpus": 0, "vcpus": 1, "memory_mib": 128},
        smoke={"video_url": "s3://vision-capctl-123456789012-us-west-2/videos/face.mp4", "timeout_s": 60},
        stack={"state": "file://state"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("PATH", f"{write_shim(folder / 'bin')}:{os.environ['PATH']}")
        session = AwsSession(target)
        stack = PulumiStack(target, session, FakeUi())
        stack.apply_base()
        yield Stage(target=target, stack=stack, session=session, ami_id=AmiId(emulator.facts["base_ami"]))
        # As on AWS, a repository that holds images is not deleted with the stack.
        session.client("ecr").delete_repository(repositoryName=target.repository_name, force=True)
        stack.destroy()
        assert stack.releases() == ()


@pytest.fixture(autouse=True)
def _empty(stage: Stage) -> Iterator[None]:
    yield
    stage.stack.remove_releases({made.release.id for made in stage.stack.releases()})


def test_base_stack_is_made_once(stage: Stage) -> None:
    assert {change.operation for change in stage.stack.preview_base()} == {"same"}
    assert stage.stack.base().bucket == stage.target.bucket


def test_release_is_created_listed_and_left_alone(stage: Stage) -> None:
    release = stage.release(1)
    preview = stage.stack.preview_release(release)
    assert [change.operation for change in preview] == ["create"] * 4
    (made,) = stage.stack.add_release(release)
    assert made.release == release
    assert made.job_definition_arn.endswith(f"job-definition/vision-{release.id}:1")
    again = stage.stack.preview_release(release)
    assert [change.operation for change in again] == ["same"] * 4


def test_second_release_touches_nothing_of_the_first_and_a_dropped_one_goes(stage: Stage) -> None:
    first, second = stage.release(2), stage.release(3)
    stage.stack.add_release(first)
    operations = {change.name: change.operation for change in stage.stack.preview_release(second)}
    assert operations == {f"vision-{first.id}": "same", f"vision-{second.id}": "create"}
    assert [made.release for made in stage.stack.add_release(second)] == [first, second]
    assert [made.release for made in stage.stack.remove_releases({first.id})] == [second]
    templates = stage.session.client("ec2").describe_launch_templates()["LaunchTemplates"]
    assert [template["LaunchTemplateName"] for template in templates] == [f"vision-{second.id}"]


def test_two_runs_at_once_keep_each_other_s_release(stage: Stage) -> None:
    releases = [stage.release(6), stage.release(7)]
    runs = [PulumiStack(stage.target, stage.session, FakeUi()) for _ in releases]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda run, release: run.add_release(release), runs, releases))
    assert {made.release.id for made in stage.stack.releases()} == {release.id for release in releases}


def test_host_configuration_is_what_batch_sees(stage: Stage) -> None:
    release = stage.release(4)
    stage.stack.add_release(release)
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


def test_refused_creation_carries_the_reason_and_can_be_taken_back(stage: Stage) -> None:
    broken = replace(stage.release(5), ami_id=AmiId("ami-0doesnotexist0000"))
    with pytest.raises(CapctlError) as failed:
        stage.stack.add_release(broken)
    assert failed.value.code == "stack-failed"
    assert any("cannot be described" in line for line in failed.value.details)
    assert stage.stack.releases() == ()
    stage.stack.remove_releases({broken.id})
    found = stage.session.client("batch").describe_compute_environments()["computeEnvironments"]
    assert [environment["computeEnvironmentName"] for environment in found] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_killed_creation_is_finished_by_the_next_run(
    stage: Stage, tmp_path: Path, number: signal.Signals, delay_s: float
) -> None:
    release = stage.release(int(10 + delay_s * 100) + number)
    mark = f"kill-{uuid.uuid4().hex}"
    code = _APPLY.format(folder=str(Path(__file__).parents[2]), target=repr(stage.target), release=repr(release))
    script = tmp_path / "apply.py"
    script.write_text(code)
    environment = {**os.environ, "CAPCTL_TEST_MARK": mark}
    with subprocess.Popen(
        [sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        _wait(lambda: len(_marked(mark)) >= 3)
        time.sleep(delay_s)
        victims = [running.pid] if number is signal.SIGTERM else _marked(mark)
        for pid in victims:
            _signal(pid, number)
    _wait(lambda: _marked(mark) == [])
    (made,) = stage.stack.add_release(release)
    assert made.release == release
    assert [change.operation for change in stage.stack.preview_release(release)] == ["same"] * 4


# Runs as a process of its own, so that it can be killed.
_APPLY = """
import signal, sys
sys.path.insert(0, {folder!r})
from pathlib import PosixPath
from lifecycle.adapters.aws.session import AwsSession
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
PulumiStack(target, AwsSession(target), FakeUi()).add_release({release})
"""


def _marked(mark: str) -> list[int]:
    """Processes that carry the mark: the run itself, the CLI, the provider."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait(come_true: object, timeout_s: float = 30.0) -> None:
    assert callable(come_true)
    deadline = time.monotonic() + timeout_s
    while not come_true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_release_whose_image_cannot_run_is_taken_back(stage: Stage, registry: RunningRegistry) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    digest = push(registry, "vision", "", b"no archive at all")
    images = FakeImages()
    images.tags["broken"] = ImageRef(repository=stage.target.repository, digest=Digest(digest))
    amis = FakeAmis()
    amis._own[stage.ami_id] = replace(
        amis.add("models", tags={Tag.PROJECT: "vision", Tag.STATUS: "verified", Tag.MODEL_SET: MODEL_SET}),
        id=stage.ami_id,
    )
    pointers = DynamoPointers(stage.session, table=stage.target.table)
    ports = FakePorts(
        amis=amis,
        images=images,
        stack=stage.stack,
        jobs=BatchJobs(stage.session),
        pointers=pointers,
        results=FakeResults(None),
        clock=SystemClock(),
    )
    wanted = Wanted(ami=stage.ami_id, image=str(images.tags["broken"]))
    with pytest.raises(RolledBack) as failed:
        execute(plan_deploy(ports, stage.target, RUN, wanted), ports, RUN)
    assert failed.value.code == "smoke-failed"
    assert pointers.read() is None
    assert stage.stack.releases() == ()
