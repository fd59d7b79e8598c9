"""What every `ports.Compute` tells of a release: its parts as they were made, and what somebody did to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lifecycle.adapters.aws.compute import AwsCompute
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.compute import HostRecord, QueueRecord, TemplateRecord
from lifecycle.domain.job import QueueState
from lifecycle.domain.tags import Tag
from lifecycle.ports.compute import Compute
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.fakes.compute import FakeCompute
from tests.fakes.releases import make_release
from tests.fakes.stack import FakeStack
from tests.rehearsal.release_parts import ReleaseParts
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A release that stands, and what somebody may do to it by its `do`; `name` is that of its parts."""

    compute: Compute
    release_id: str
    name: str
    ami_id: AmiId
    image: str
    do: dict[str, Callable[[], None]]


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def standing(request: pytest.FixtureRequest) -> Iterator[Standing]:
    if request.param == "fake":
        yield _in_memory()
    else:
        yield from _emulated(request.getfixturevalue("emulator"), request.getfixturevalue("emulated_session"))


def _in_memory() -> Standing:
    stack, release = FakeStack(), make_release()
    (deployed,) = stack.add_release(release)
    compute = FakeCompute(stack)
    name = f"vision-{release.id}"
    template = compute.templates()[0].id
    compute.running.append(HostRecord(id="i-1", release_id=release.id, ami_id=release.ami_id))
    by_hand = QueueRecord(
        arn="arn:by-hand", name="by-hand", state=QueueState.VALID, reason="", is_enabled=True, environment_arns=()
    )

    def change(part: str, **fields: Any) -> Callable[[], None]:
        return lambda: compute.changed.update({part: fields})

    return Standing(
        compute=compute,
        release_id=release.id,
        name=name,
        ami_id=release.ami_id,
        image=str(release.image),
        do={
            "disable the queue": change(deployed.job_queue_arn, is_enabled=False),
            "disable the environment": change(deployed.compute_environment_arn, is_enabled=False),
            "grow the environment": change(deployed.compute_environment_arn, max_vcpus=9),
            "override the AMI": change(deployed.compute_environment_arn, ami_overrides=(release.ami_id,)),
            "add a version": change(template, amis={"1": release.ami_id, "2": release.ami_id}),
            "deregister the definition": lambda: compute.gone.add(deployed.job_definition_arn),
            "make a queue by hand": lambda: compute.strays.append(by_hand),
            "end the instance": compute.running.clear,
        },
    )


def _emulated(emulator: Emulator, session: AwsSession) -> Iterator[Standing]:
    """A release of a project of its own and one of another, whose name begins as the first one's does.

    Other suites leave parts of theirs in the account: what is told of a project is exact, so none of them may share it.
    """
    aws, ami_id = Aws(emulator.endpoint), emulator.facts["base_ami"]
    release_id = uuid.uuid4().hex[:12]
    project = f"vision-{uuid.uuid4().hex[:6]}"
    own, other = ReleaseParts(aws, ami_id, project, release_id), ReleaseParts(aws, ami_id, f"{project}-x", release_id)
    by_hand = f"by-hand-{release_id}"

    def make_queue() -> None:
        order = [{"order": 1, "computeEnvironment": own.batch.environment}]
        aws.batch.create_job_queue(
            jobQueueName=by_hand, priority=1, computeEnvironmentOrder=order, tags={Tag.PROJECT.value: project}
        )

    def resize(**resources: Any) -> Callable[[], None]:
        return lambda: aws.batch.update_compute_environment(computeEnvironment=own.name, computeResources=resources)

    override = [{"imageType": "ECS_AL2023_NVIDIA", "imageIdOverride": ami_id}]
    yield Standing(
        compute=AwsCompute(session, project),
        release_id=release_id,
        name=own.name,
        ami_id=AmiId(ami_id),
        image=TINY_IMAGE,
        do={
            "disable the queue": lambda: aws.batch.update_job_queue(jobQueue=own.name, state="DISABLED"),
            "disable the environment": lambda: aws.batch.update_compute_environment(
                computeEnvironment=own.name, state="DISABLED"
            ),
            "grow the environment": resize(maxvCpus=9),
            "override the AMI": resize(ec2Configuration=override),
            "add a version": lambda: aws.ec2.create_launch_template_version(
                LaunchTemplateId=own.template, LaunchTemplateData={"ImageId": ami_id}
            ),
            "deregister the definition": lambda: aws.batch.deregister_job_definition(jobDefinition=own.definition),
            "make a queue by hand": make_queue,
            "end the instance": lambda: aws.ec2.terminate_instances(InstanceIds=[own.instance]),
        },
    )
    if aws.batch.describe_job_queues(jobQueues=[by_hand])["jobQueues"]:
        aws.batch.update_job_queue(jobQueue=by_hand, state="DISABLED")
        aws.batch.delete_job_queue(jobQueue=by_hand)
    for parts in (own, other):
        parts.remove()


def test_parts_of_a_release_are_told_as_they_were_made_and_those_of_other_projects_not(standing: Standing) -> None:
    (queue,) = standing.compute.queues()
    (environment,) = standing.compute.environments()
    (definition,) = standing.compute.definitions()
    (template,) = standing.compute.templates()
    (host,) = standing.compute.hosts()
    assert {queue.name, environment.name, definition.name, template.name} == {standing.name}
    assert (queue.state, queue.is_enabled) == (QueueState.VALID, True)
    assert queue.environment_arns == (environment.arn,)
    assert (environment.state, environment.is_enabled, environment.ami_overrides) == (QueueState.VALID, True, ())
    assert environment.max_vcpus
    assert (environment.template_id, environment.template_version) == (template.id, "1")
    assert (definition.arn.rpartition("/")[2], definition.image) == (f"{standing.name}:1", standing.image)
    assert template == TemplateRecord(id=template.id, name=standing.name, amis={"1": standing.ami_id})
    assert (host.release_id, host.ami_id) == (standing.release_id, standing.ami_id)


def test_disabled_queue_is_told(standing: Standing) -> None:
    standing.do["disable the queue"]()
    assert [queue.is_enabled for queue in standing.compute.queues()] == [False]


def test_disabled_environment_is_told(standing: Standing) -> None:
    standing.do["disable the environment"]()
    assert [environment.is_enabled for environment in standing.compute.environments()] == [False]


def test_environment_that_was_changed_is_told(standing: Standing) -> None:
    standing.do["grow the environment"]()
    assert [environment.max_vcpus for environment in standing.compute.environments()] == [9]


def test_ami_that_an_environment_names_itself_is_told(standing: Standing) -> None:
    standing.do["override the AMI"]()
    assert [environment.ami_overrides for environment in standing.compute.environments()] == [(standing.ami_id,)]


def test_every_version_of_a_template_is_told(standing: Standing) -> None:
    standing.do["add a version"]()
    (template,) = standing.compute.templates()
    assert template.amis == {"1": standing.ami_id, "2": standing.ami_id}


def test_definition_that_is_not_active_is_not_told(standing: Standing) -> None:
    standing.do["deregister the definition"]()
    assert standing.compute.definitions() == ()


def test_what_carries_the_projects_tag_is_told_whatever_its_name(standing: Standing) -> None:
    standing.do["make a queue by hand"]()
    others = [queue.name for queue in standing.compute.queues() if queue.name != standing.name]
    assert [name.startswith("by-hand") for name in others] == [True]


def test_instance_that_was_terminated_is_not_told(standing: Standing) -> None:
    standing.do["end the instance"]()
    assert standing.compute.hosts() == ()
