"""Batch environments and queues follow the rules of AWS about states and order."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path

import pytest

from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from tests.rehearsal.emulator_parts import Batch, bake, message
from tests.rehearsal.stage_parts import Aws, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


def test_environment_is_created_then_valid_and_keeps_its_changes(aws: Aws, emulator: Emulator) -> None:
    environment = Batch(aws, emulator.facts["base_ami"], name="changes")
    assert environment.describe()["status"] == "CREATING"
    environment.open_queue()
    assert "serviceRole/AWSServiceRoleForBatch" not in environment.describe()["serviceRole"]
    assert environment.describe()["serviceRole"].endswith("AWSServiceRoleForBatch")
    policy = {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 60}
    aws.batch.update_compute_environment(
        computeEnvironment="changes", computeResources={"maxvCpus": 9}, updatePolicy=policy
    )
    found = environment.describe()
    assert (found["status"], found["computeResources"]["maxvCpus"], found["updatePolicy"]) == ("UPDATING", 9, policy)
    until(lambda: environment.describe()["status"] == "VALID")
    limits = [{"reason": "CAPACITY:x", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}]
    aws.batch.update_job_queue(jobQueue="changes", jobStateTimeLimitActions=limits)
    (queue,) = aws.batch.describe_job_queues(jobQueues=["changes"])["jobQueues"]
    assert queue["jobStateTimeLimitActions"] == limits
    environment.close()


def test_deletion_keeps_the_order_that_aws_demands(aws: Aws, emulator: Emulator) -> None:
    environment = Batch(aws, emulator.facts["base_ami"], name="order").open_queue()
    delete = aws.batch.delete_compute_environment
    assert "not DISABLED" in message(delete, computeEnvironment="order")
    aws.batch.update_compute_environment(computeEnvironment="order", state="DISABLED")
    assert "found existing JobQueue relationship" in message(delete, computeEnvironment="order")
    assert "not DISABLED" in message(aws.batch.delete_job_queue, jobQueue="order")
    aws.batch.update_job_queue(jobQueue="order", state="DISABLED")
    definition = environment.define("true")
    assert "not ENABLED" in message(environment.submit, definition=definition)
    aws.batch.delete_job_queue(jobQueue="order")
    delete(computeEnvironment="order")
    assert aws.batch.describe_compute_environments(computeEnvironments=["order"])["computeEnvironments"] == []


def test_environment_with_an_unknown_image_becomes_invalid(aws: Aws) -> None:
    environment = Batch(aws, "ami-0123456789abcdef0", name="unknown-image")
    until(lambda: environment.describe()["status"] == "INVALID")
    assert "cannot be described" in environment.describe()["statusReason"]
    order = [{"order": 1, "computeEnvironment": environment.environment}]
    create = aws.batch.create_job_queue
    assert "not VALID" in message(create, jobQueueName="q-1", priority=1, computeEnvironmentOrder=order)
    aws.batch.update_compute_environment(computeEnvironment="unknown-image", state="DISABLED")
    aws.batch.delete_compute_environment(computeEnvironment="unknown-image")


def test_user_data_that_is_not_mime_makes_the_environment_invalid(aws: Aws, emulator: Emulator) -> None:
    data = {"UserData": base64.b64encode(b"#!/bin/sh\n").decode()}
    template = aws.ec2.create_launch_template(LaunchTemplateName="plain", LaunchTemplateData=data)["LaunchTemplate"]
    wanted = {"launchTemplateId": template["LaunchTemplateId"], "version": "1"}
    environment = Batch(aws, emulator.facts["base_ami"], name="plain", launchTemplate=wanted)
    until(lambda: environment.describe()["status"] == "INVALID")
    assert "not MIME multipart" in environment.describe()["statusReason"]


def test_image_comes_from_the_launch_template_when_nothing_else_names_one(
    aws: Aws, emulator: Emulator, batch: Batch
) -> None:
    image = bake(aws, emulator, opt__m__x="from-template")
    template = aws.ec2.create_launch_template(LaunchTemplateName="with-image", LaunchTemplateData={"ImageId": image})
    wanted = {"launchTemplateName": "with-image", "version": str(template["LaunchTemplate"]["LatestVersionNumber"])}
    kind = [{"imageType": "ECS_AL2023_NVIDIA"}]
    opened = Batch(aws, image, name="template", launchTemplate=wanted, ec2Configuration=kind).open_queue()
    job = opened.run(
        "cat /m/x",
        volumes=[{"name": "m", "host": {"sourcePath": "/opt/m"}}],
        mountPoints=[{"sourceVolume": "m", "containerPath": "/m", "readOnly": True}],
    )
    assert opened.log(job) == ["from-template"]
    opened.close()


def test_disabled_environment_leaves_jobs_runnable(batch: Batch, aws: Aws) -> None:
    opened = Batch(aws, batch.image, name="paused").open_queue()
    aws.batch.update_compute_environment(computeEnvironment="paused", state="DISABLED")
    job_id = opened.submit(opened.define("true"))
    opened.wait(job_id, "RUNNABLE")
    aws.batch.update_compute_environment(computeEnvironment="paused", state="ENABLED")
    assert opened.wait(job_id)["status"] == "SUCCEEDED"
    opened.close()


def test_image_in_use_by_a_host_keeps_its_content_and_then_no_new_host_starts(batch: Batch, emulator: Emulator) -> None:
    aws, image = batch.aws, bake(batch.aws, emulator, opt__m__x="x")
    opened = Batch(aws, image, name="gone").open_queue()
    mounts = {
        "volumes": [{"name": "m", "host": {"sourcePath": "/opt/m"}}],
        "mountPoints": [{"sourceVolume": "m", "containerPath": "/m", "readOnly": True}],
    }
    assert opened.run("cat /m/x", **mounts)["status"] == "SUCCEEDED"
    aws.ec2.deregister_image(ImageId=image)
    job = opened.run("cat /m/x", **mounts)
    assert job["status"] == "SUCCEEDED"
    cluster, instance = opened.describe()["ecsClusterArn"], job["container"]["containerInstanceArn"]
    (found,) = aws.ecs.describe_container_instances(cluster=cluster, containerInstances=[instance])[
        "containerInstances"
    ]
    aws.ec2.terminate_instances(InstanceIds=[found["ec2InstanceId"]])
    job_id = opened.submit(opened.define("true"))
    until(lambda: opened.describe()["status"] == "INVALID")
    assert image in opened.describe()["statusReason"]
    assert opened.job(job_id)["status"] == "RUNNABLE"
    opened.close()
    assert not (emulator.options.state / "amis" / image).exists()


def test_without_an_engine_an_image_of_elsewhere_cannot_be_pulled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    options = EmulatorOptions(state=tmp_path / "state", rehearsal=f"test-{uuid.uuid4().hex[:8]}")
    with Emulator(options) as emulator:
        assert emulator.facts["no_jobs"].startswith("no container engine")
        aws = Aws(emulator.endpoint)
        opened = Batch(aws, emulator.facts["base_ami"], name="no-engine").open_queue()
        job = opened.run("true")
        assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
        assert job["container"]["reason"].startswith("CannotPullContainerError")
