"""What every `ports.ImageUsers` does, and which sources the real one reads."""

from __future__ import annotations

import base64
import gzip
import uuid
from collections.abc import Callable

import pytest

from lifecycle.adapters.aws.image_sources import Found
from lifecycle.adapters.aws.image_users import AwsImageUsers
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.digest import digest_of
from lifecycle.rehearsal.emulator.launch import Emulator
from tests.contract.users_parts import Account, Aws, in_memory, require_trouble_told, require_use_told
from tests.rehearsal.stage_parts import until

REPOSITORY = "team/vision"
HOST = "123456789012.dkr.ecr.us-west-2.amazonaws.com"


def new_digest() -> str:
    return digest_of(uuid.uuid4().bytes)


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def account(request: pytest.FixtureRequest) -> Account:
    if request.param == "fake":
        return in_memory()
    aws: Batch = request.getfixturevalue("aws")
    return Account(users=aws.users, use=aws.parameter)


def test_use_is_told_with_its_kind(account: Account) -> None:
    require_use_told(account, used=new_digest(), unused=new_digest())


class Batch(Aws):
    def define(self, image: str) -> str:
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        return str(
            self.batch.register_job_definition(
                jobDefinitionName=f"job-{uuid.uuid4().hex[:8]}",
                type="container",
                containerProperties={"image": image, "command": ["true"], "resourceRequirements": needs},
            )["jobDefinitionArn"]
        )

    def task_definition(self, image: str) -> str:
        made = self.ecs.register_task_definition(
            family=f"task-{uuid.uuid4().hex[:8]}", containerDefinitions=[{"name": "c", "image": image, "memory": 64}]
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def service(self, image: str) -> str:
        """The task definition of a service."""
        definition, cluster = self.task_definition(image), f"cluster-{uuid.uuid4().hex[:8]}"
        self.ecs.create_cluster(clusterName=cluster)
        self.ecs.create_service(cluster=cluster, serviceName="service", taskDefinition=definition, desiredCount=0)
        return definition

    def template(self, user_data: bytes) -> None:
        data = {"UserData": base64.b64encode(user_data).decode()}
        self.ec2.create_launch_template(LaunchTemplateName=f"template-{uuid.uuid4().hex}", LaunchTemplateData=data)


@pytest.fixture(scope="module")
def aws(emulator: Emulator, lasting_session: AwsSession) -> Batch:
    users = AwsImageUsers(lasting_session, REPOSITORY)
    return Batch(lasting_session, users, base_ami=emulator.facts["base_ami"])


@pytest.fixture(scope="module")
def queue(aws: Batch) -> str:
    """A queue none of whose jobs can start."""
    name = f"waits-{uuid.uuid4().hex[:8]}"

    def status() -> str:
        (found,) = aws.batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
        return str(found["status"])

    aws.batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED")
    until(lambda: status() == "VALID")
    aws.batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
    until(lambda: status() == "VALID")
    order = [{"order": 1, "computeEnvironment": name}]
    return str(aws.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)["jobQueueArn"])


@pytest.mark.rehearsal
class TestSources:
    """Everything of an account that may use an image."""

    def test_job_definition_uses_its_image_until_it_is_deregistered(self, aws: Batch) -> None:
        digest = new_digest()
        definition = aws.define(f"{HOST}/{REPOSITORY}@{digest}")
        assert aws.kinds(digest) == {"job definition"}
        aws.batch.deregister_job_definition(jobDefinition=definition)
        assert aws.kinds(digest) == set()

    def test_job_definition_uses_the_image_of_a_tag(self, aws: Batch) -> None:
        tag = f"code-{uuid.uuid4().hex[:16]}"
        aws.define(f"{HOST}/{REPOSITORY}:{tag}")
        assert aws.kinds(tag) == {"job definition"}

    def test_job_that_waits_uses_its_image_when_its_definition_is_gone(self, aws: Batch, queue: str) -> None:
        digest = new_digest()
        definition = aws.define(f"{HOST}/{REPOSITORY}@{digest}")
        job = aws.batch.submit_job(jobName="waits", jobQueue=queue, jobDefinition=definition)["jobId"]
        aws.batch.deregister_job_definition(jobDefinition=definition)
        assert aws.kinds(digest) == {"job"}
        aws.batch.terminate_job(jobId=job, reason="the test is over")

    def test_task_definition_uses_its_image_until_it_is_deregistered(self, aws: Batch) -> None:
        digest = new_digest()
        definition = aws.task_definition(f"{HOST}/{REPOSITORY}@{digest}")
        assert aws.kinds(digest) == {"task definition"}
        aws.ecs.deregister_task_definition(taskDefinition=definition)
        assert aws.kinds(digest) == set()

    def test_service_uses_the_image_of_its_task_definition_when_that_is_deregistered(self, aws: Batch) -> None:
        digest = new_digest()
        definition = aws.service(f"{HOST}/{REPOSITORY}@{digest}")
        aws.ecs.deregister_task_definition(taskDefinition=definition)
        assert aws.kinds(digest) == {"task definition"}

    def test_ami_uses_the_image_that_its_tag_names(self, aws: Batch) -> None:
        digest = new_digest()
        instance = aws.ec2.run_instances(ImageId=aws.base_ami, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        image = aws.ec2.create_image(InstanceId=instance, Name=f"warm-{uuid.uuid4().hex}")["ImageId"]
        aws.ec2.create_tags(Resources=[image], Tags=[{"Key": "image", "Value": f"{HOST}/{REPOSITORY}@{digest}"}])
        assert aws.kinds(digest) == {"AMI"}
        aws.ec2.disable_image(ImageId=image)
        assert aws.kinds(digest) == {"AMI"}

    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_launch_template_uses_the_image_that_its_user_data_pulls(
        self, aws: Batch, pack: Callable[[bytes], bytes]
    ) -> None:
        digest = new_digest()
        aws.template(pack(f"#!/bin/sh\ndocker pull {HOST}/{REPOSITORY}@{digest}\n".encode()))
        assert aws.kinds(digest) == {"launch template"}

    def test_parameter_uses_what_its_json_names(self, aws: Batch) -> None:
        digest = new_digest()
        aws.parameter(f'{{"image": "{HOST}/{REPOSITORY}@{digest}"}}')
        assert aws.kinds(digest) == {"parameter"}

    @pytest.mark.parametrize(
        ("service", "operation", "source"),
        [
            ("batch", "DescribeJobDefinitions", "job definitions"),
            ("batch", "DescribeJobQueues", "jobs"),
            ("batch", "ListJobs", "jobs"),
            ("ecs", "ListTaskDefinitions", "task definitions"),
            ("ecs", "DescribeTaskDefinition", "task definitions"),
            ("ecs", "DescribeServices", "task definitions"),
            ("ecs", "ListTasks", "tasks"),
            ("ec2", "DescribeImages", "AMIs"),
            ("ec2", "DescribeLaunchTemplateVersions", "launch templates"),
            ("ssm", "DescribeParameters", "parameters"),
        ],
    )
    def test_source_that_cannot_be_read_is_told_and_nothing_is_raised(
        self, aws: Batch, queue: str, service: str, operation: str, source: str
    ) -> None:
        aws.service(f"{HOST}/{REPOSITORY}:any")
        require_trouble_told(aws, service, operation, source)


DIGEST = digest_of(b"an image")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"{HOST}/{REPOSITORY}@{DIGEST}", [DIGEST]),
        (f"{HOST}/{REPOSITORY}:v1@{DIGEST}", [DIGEST, "v1"]),
        (f"{HOST}/{REPOSITORY}:v1.2", ["v1.2"]),
        (f"{HOST}/{REPOSITORY}", ["latest"]),
        (f"mirror.example:5000/{REPOSITORY}:v1", ["v1"]),
        (f"{REPOSITORY}:v1", ["v1"]),
        (f'docker pull "{HOST}/{REPOSITORY}:v1"; true', ["v1"]),
        (f"IMAGE={REPOSITORY}:v1", ["v1"]),
        (f"{HOST}/{REPOSITORY}-tools:v1", []),
        (f"{HOST}/{REPOSITORY}/job:v1", []),
        (f"{HOST}/my{REPOSITORY}:v1", []),
        ("code-0123456789abcdef", ["code-0123456789abcdef"]),
        (f"sha256:{'0' * 63}", []),
    ],
)
def test_image_is_found_in_any_text(text: str, named: list[str]) -> None:
    assert Found(REPOSITORY).named({"deep": [{"text": text}]}) == named
