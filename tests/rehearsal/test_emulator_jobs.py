"""Batch jobs run in containers, with the content of their image, and end as on AWS."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.rehearsal.services.registry import RunningRegistry
from tests.rehearsal.emulator_parts import Batch, message
from tests.rehearsal.stage_parts import REGION, TINY_IMAGE, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


def test_job_sees_the_content_of_its_image(batch: Batch) -> None:
    job = batch.run(
        "cat /models/weights; id -u; touch /models/x || echo models-read-only; touch /x || echo root-read-only; "
        "touch /scratch/x && echo scratch; ulimit -n; echo $AWS_BATCH_JQ_NAME $AWS_BATCH_CE_NAME $AWS_BATCH_JOB_ATTEMPT",
        volumes=[{"name": "models", "host": {"sourcePath": "/opt/dl/models"}}],
        mountPoints=[{"sourceVolume": "models", "containerPath": "/models", "readOnly": True}],
        user="1000",
        readonlyRootFilesystem=True,
        ulimits=[{"name": "nofile", "softLimit": 99, "hardLimit": 99}],
        linuxParameters={"tmpfs": [{"containerPath": "/scratch", "size": 1}]},
    )
    lines = [line for line in "\n".join(batch.log(job)).splitlines() if "cannot touch" not in line]
    assert lines == ["baked1000", "models-read-only", "root-read-only", "scratch", "99", "test test 1"]
    assert job["status"] == "SUCCEEDED"
    assert job["container"]["exitCode"] == 0


def test_directory_in_image_and_base_image_is_merged(batch: Batch) -> None:
    mounts = {
        "volumes": [{"name": "m", "host": {"sourcePath": "/opt/models"}}],
        "mountPoints": [{"sourceVolume": "m", "containerPath": "/m", "readOnly": True}],
    }
    job = batch.run("cat /m/weights /m/only-base", **mounts)
    assert batch.log(job) == ["topb"]


def test_host_of_a_job_is_an_instance_of_its_image(batch: Batch) -> None:
    job = batch.run("true")
    cluster, instance = batch.describe()["ecsClusterArn"], job["container"]["containerInstanceArn"]
    (found,) = batch.aws.ecs.describe_container_instances(cluster=cluster, containerInstances=[instance])[
        "containerInstances"
    ]
    reservations = batch.aws.ec2.describe_instances(InstanceIds=[found["ec2InstanceId"]])["Reservations"]
    host = reservations[0]["Instances"][0]
    assert (host["ImageId"], host["InstanceType"], host["InstanceLifecycle"]) == (batch.image, "g4dn.xlarge", "spot")


def test_failing_job_has_code_reason_and_attempts(batch: Batch) -> None:
    retry = {
        "attempts": 3,
        "evaluateOnExit": [{"onExitCode": "75", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}],
    }
    temporary = batch.run("exit 75", retry=retry)
    assert [attempt["container"]["exitCode"] for attempt in temporary["attempts"]] == [75, 75, 75]
    poison = batch.run("exit 65", retry=retry)
    assert (len(poison["attempts"]), poison["container"]["exitCode"]) == (1, 65)
    assert poison["statusReason"] == "Essential container in task exited"


def test_submission_overrides_retry_timeout_and_environment(batch: Batch) -> None:
    definition = batch.define("echo $WHO; exit 1")
    job_id = batch.submit(
        definition,
        retryStrategy={"attempts": 2},
        containerOverrides={"environment": [{"name": "WHO", "value": "me"}]},
    )
    job = batch.wait(job_id)
    assert (len(job["attempts"]), batch.log(job)) == (2, ["me"])


def test_timeout_is_told_to_the_job_and_not_retried(batch: Batch) -> None:
    script = "trap 'echo told; exit 3' TERM; while :; do sleep 0.1; done"
    job = batch.run(script, timeout_s=3, retry={"attempts": 3})
    assert (job["statusReason"], len(job["attempts"])) == ("Job attempt duration exceeded timeout", 1)
    assert (job["container"]["exitCode"], batch.log(job)) == (3, ["told"])


def test_job_over_its_memory_says_so(batch: Batch) -> None:
    job = batch.run("exec dd if=/dev/zero of=/dev/null bs=300M count=1")
    assert (job["container"]["exitCode"], job["container"]["reason"][:16]) == (137, "OutOfMemoryError")


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"image": f"123456789012.dkr.ecr.{REGION}.amazonaws.com/none@sha256:{'0' * 64}"}, "CannotPullContainerError"),
        ({"command": ["/no/such/program"]}, "CannotStartContainerError"),
        (
            {
                "volumes": [{"name": "m", "host": {"sourcePath": "/opt/none"}}],
                "mountPoints": [{"sourceVolume": "m", "containerPath": "/m", "readOnly": True}],
            },
            "bind source path does not exist: /opt/none",
        ),
        ({"secrets": [{"name": "S", "valueFrom": "/no/such"}]}, "ResourceInitializationError"),
    ],
)
def test_job_that_cannot_start_says_why(batch: Batch, properties: dict[str, Any], reason: str) -> None:
    job = batch.run("true", **properties)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert reason in job["container"]["reason"]


def test_secrets_reach_the_job(batch: Batch) -> None:
    arn = batch.aws.secretsmanager.create_secret(Name="database", SecretString='{"dsn": "postgres://x"}')["ARN"]
    batch.aws.ssm.put_parameter(Name="/job/word", Value="hidden", Type="SecureString")
    secrets = [{"name": "DSN", "valueFrom": f"{arn}:dsn::"}, {"name": "WORD", "valueFrom": "/job/word"}]
    assert batch.log(batch.run("echo $DSN $WORD", secrets=secrets)) == ["postgres://x hidden"]


def test_log_is_there_while_the_job_runs_and_terminate_ends_it(batch: Batch) -> None:
    job_id = batch.submit(batch.define("echo up; sleep 60"))
    batch.wait(job_id, "RUNNING")
    until(lambda: batch.log(batch.job(job_id)) == ["up"])
    assert [job["jobId"] for job in batch.aws.batch.list_jobs(jobQueue="test")["jobSummaryList"]] == [job_id]
    batch.aws.batch.cancel_job(jobId=job_id, reason="too late to cancel")
    assert batch.job(job_id)["status"] == "RUNNING"
    batch.aws.batch.terminate_job(jobId=job_id, reason="enough")
    job = batch.wait(job_id)
    assert (job["status"], job["statusReason"], job["container"]["exitCode"]) == ("FAILED", "enough", 137)


def test_jobs_wait_for_vcpus_and_can_be_cancelled(batch: Batch) -> None:
    definition = batch.define("sleep 60")
    first = [batch.submit(definition) for _ in range(4)]
    for job_id in first:
        batch.wait(job_id, "RUNNING")
    waiting = batch.submit(definition)
    until(lambda: batch.job(waiting)["status"] == "RUNNABLE")
    (front,) = batch.aws.batch.get_job_queue_snapshot(jobQueue="test")["frontOfQueue"]["jobs"]
    assert front["jobArn"] == batch.job(waiting)["jobArn"]
    batch.aws.batch.cancel_job(jobId=waiting, reason="changed my mind")
    cancelled = batch.wait(waiting)
    assert cancelled["statusReason"] == "changed my mind"
    assert (cancelled["isCancelled"], cancelled["isTerminated"], cancelled["attempts"]) == (True, False, [])
    for job_id in first:
        batch.aws.batch.terminate_job(jobId=job_id, reason="done")
    by_definition = [{"name": "JOB_DEFINITION", "values": [definition]}]
    listed = batch.aws.batch.list_jobs(jobQueue="test", filters=by_definition)["jobSummaryList"]
    assert [job["jobId"] for job in listed] == [waiting, *reversed(first)]
    paginator = batch.aws.batch.get_paginator("list_jobs")
    found = list(paginator.paginate(jobQueue="test", filters=by_definition, PaginationConfig={"PageSize": 2}))
    assert [[job["jobId"] for job in page["jobSummaryList"]] for page in found] == [
        [waiting, first[3]],
        [first[2], first[1]],
        [first[0]],
    ]
    both = [*by_definition, {"name": "JOB_NAME", "values": ["job"]}]
    assert "one filter" in message(batch.aws.batch.list_jobs, jobQueue="test", filters=both)


def test_job_that_never_fits_says_so(batch: Batch) -> None:
    needs = [{"type": "VCPU", "value": "64"}, {"type": "MEMORY", "value": "64"}]
    job_id = batch.submit(batch.define("true", resourceRequirements=needs))
    reason = until(lambda: batch.job(job_id).get("statusReason"))
    assert reason.startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")
    batch.aws.batch.cancel_job(jobId=job_id, reason="no use")
    batch.wait(job_id)


def test_lost_instance_is_retried_on_another(batch: Batch) -> None:
    retry = {"attempts": 2, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]}
    script = "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || exec sleep 60"
    job_id = batch.submit(batch.define(script, retry=retry))
    running = batch.wait(job_id, "RUNNING")
    cluster, instance = batch.describe()["ecsClusterArn"], running["container"]["containerInstanceArn"]
    (found,) = batch.aws.ecs.describe_container_instances(cluster=cluster, containerInstances=[instance])[
        "containerInstances"
    ]
    batch.aws.ec2.terminate_instances(InstanceIds=[found["ec2InstanceId"]])
    job = batch.wait(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["attempts"][0]["statusReason"] == f"Host EC2 (instance {found['ec2InstanceId']}) terminated."
    hosts = [attempt["container"]["containerInstanceArn"] for attempt in job["attempts"]]
    assert hosts[0] != hosts[1]


def test_dependent_job_waits_and_fails_with_its_dependency(batch: Batch) -> None:
    good, bad = batch.define("true"), batch.define("exit 1")
    assert batch.wait(batch.submit(good, dependsOn=[{"jobId": batch.submit(good)}]))["status"] == "SUCCEEDED"
    assert (
        batch.wait(batch.submit(good, dependsOn=[{"jobId": batch.submit(bad)}]))["statusReason"]
        == "Dependent Job failed"
    )


def test_cancelled_job_that_waits_for_another_ends_after_it(batch: Batch) -> None:
    first = batch.submit(batch.define("sleep 60"))
    batch.wait(first, "RUNNING")
    waiting = batch.submit(batch.define("true"), dependsOn=[{"jobId": first}])
    until(lambda: batch.job(waiting)["status"] == "PENDING")
    batch.aws.batch.cancel_job(jobId=waiting, reason="changed my mind")
    assert batch.job(waiting)["status"] == "PENDING"
    assert batch.job(waiting)["isCancelled"]
    batch.aws.batch.terminate_job(jobId=first, reason="done")
    assert batch.wait(waiting)["status"] == "FAILED"


def test_array_job_sums_up_its_children(batch: Batch) -> None:
    job_id = batch.submit(batch.define("exit $AWS_BATCH_JOB_ARRAY_INDEX"), arrayProperties={"size": 2})
    parent = batch.wait(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert [batch.job(f"{job_id}:{index}")["status"] for index in (0, 1)] == ["SUCCEEDED", "FAILED"]


def test_only_active_revisions_are_submitted(batch: Batch) -> None:
    definition = batch.define("true")
    batch.aws.batch.deregister_job_definition(jobDefinition=definition)
    assert "not ACTIVE" in message(batch.submit, definition=definition)


def test_image_of_ecr_is_pulled_from_the_registry(batch: Batch, registry: RunningRegistry) -> None:
    import docker

    engine = docker.from_env()
    name = f"{registry.address}/pulled"
    batch.aws.ecr.create_repository(repositoryName="pulled")
    engine.images.get(TINY_IMAGE).tag(name, "1")
    engine.images.push(name, tag="1")
    engine.images.remove(f"{name}:1")
    (found,) = batch.aws.ecr.describe_images(repositoryName="pulled")["imageDetails"]
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/pulled@{found['imageDigest']}"
    job = batch.run("echo ran", image=uri)
    assert (batch.log(job), job["container"]["image"]) == (["ran"], uri)
    engine.images.remove(f"{name}@{found['imageDigest']}", force=True)
    engine.close()
