"""The emulator answers as AWS does where moto does not."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.services.registry import RunningRegistry, start_registry
from tests.rehearsal.stage_parts import REGION, TINY_IMAGE, Aws, tiny_tar, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]
ENDED = ("SUCCEEDED", "FAILED")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stage")


@pytest.fixture(scope="module")
def registry_and_emulator(home: Path) -> Iterator[tuple[RunningRegistry, Emulator]]:
    rehearsal, port = f"test-{uuid.uuid4().hex[:8]}", free_port()
    events = f"http://127.0.0.1:{port}/_capctl/registry-events"
    rootfs = home / "rootfs"
    for name, text in {"opt/models/weights": "base", "opt/models/only-base": "b", "usr/sbin/nothing": ""}.items():
        (rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / name).write_text(text)
    registry = start_registry(home / "registry", rehearsal, events_url=events)
    options = EmulatorOptions(
        state=home / "state", rehearsal=rehearsal, port=port, registry=registry.address, rootfs=rootfs, stop_grace_s=1
    )
    with Emulator(options) as emulator:
        yield registry, emulator
    registry.close()
    assert leftovers.find(rehearsal, home / "state") == []


@pytest.fixture(scope="module")
def registry(registry_and_emulator: tuple[RunningRegistry, Emulator]) -> RunningRegistry:
    return registry_and_emulator[0]


@pytest.fixture(scope="module")
def emulator(registry_and_emulator: tuple[RunningRegistry, Emulator]) -> Emulator:
    return registry_and_emulator[1]


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Aws:
    return Aws(emulator.endpoint)


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as failed:
        call(**arguments)
    return str(failed.value.response["Error"]["Code"])


def message(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as failed:
        call(**arguments)
    return str(failed.value.response["Error"]["Message"])


# --- the process ------------------------------------------------------------------------------------------------------


def test_emulator_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    rehearsal = f"test-{uuid.uuid4().hex[:8]}"
    script = (
        "import os, sys; from pathlib import Path\n"
        "from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions\n"
        "Emulator(EmulatorOptions(state=Path(sys.argv[1]), rehearsal=sys.argv[2]))\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "state"), rehearsal], check=True, timeout=60)
    until(lambda: leftovers.find(rehearsal) == [])


def test_taken_port_is_one_sentence_on_stderr(emulator: Emulator, tmp_path: Path) -> None:
    port = emulator.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "lifecycle.rehearsal.emulator", "--port", port, "--state", str(tmp_path)]
    done = subprocess.run([*command, "--rehearsal", "test"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"cannot start on port {port}" in done.stderr


def test_emulator_listens_on_loopback_only(emulator: Emulator) -> None:
    port = int(emulator.endpoint.rpartition(":")[2])
    wanted = f"{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {fields[1].split(":")[0] for fields in lines if fields[1].endswith(f":{wanted}") and fields[3] == "0A"}
    assert listening == {"0100007F"}


# --- images -----------------------------------------------------------------------------------------------------------


def test_public_parameter_names_the_base_image(aws: Aws, emulator: Emulator) -> None:
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    image_id = aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    (image,) = aws.ec2.describe_images(Owners=["amazon"])["Images"]
    assert image["ImageId"] == image_id == emulator.facts["base_ami"]
    assert image["CreationDate"] < datetime.now(UTC).isoformat()


def test_parameter_of_an_image_is_kept_with_its_type(aws: Aws, emulator: Emulator) -> None:
    value = emulator.facts["base_ami"]
    aws.ssm.put_parameter(Name="/capctl/test/ami/stable", Value=value, Type="String", DataType="aws:ec2:image")
    assert aws.ssm.get_parameter(Name="/capctl/test/ami/stable")["Parameter"]["DataType"] == "aws:ec2:image"


@pytest.fixture
def image(aws: Aws, emulator: Emulator) -> str:
    run = aws.ec2.run_instances(
        ImageId=emulator.facts["base_ami"],
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "Encrypted": True}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 7, "VolumeType": "gp3", "DeleteOnTermination": False}},
        ],
    )
    name = f"image-{uuid.uuid4().hex[:8]}"
    tags = [{"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]} for kind in ("image", "snapshot")]
    instance = run["Instances"][0]["InstanceId"]
    made = aws.ec2.create_image(InstanceId=instance, Name=name, Description="text", TagSpecifications=tags)
    assert code(aws.ec2.create_image, InstanceId=instance, Name=name) == "InvalidAMIName.Duplicate"
    aws.ec2.terminate_instances(InstanceIds=[instance])
    return str(made["ImageId"])


def described(aws: Aws, image: str) -> dict[str, Any]:
    (found,) = aws.ec2.describe_images(ImageIds=[image])["Images"]
    return dict(found)


def test_image_has_a_snapshot_of_every_volume(aws: Aws, image: str) -> None:
    found = described(aws, image)
    assert (found["RootDeviceType"], found["Description"], found["Tags"]) == (
        "ebs",
        "text",
        [{"Key": "of", "Value": "image"}],
    )
    volumes = {mapping["DeviceName"]: mapping["Ebs"] for mapping in found["BlockDeviceMappings"]}
    assert {name: (ebs["VolumeSize"], ebs["VolumeType"], ebs["Encrypted"]) for name, ebs in volumes.items()} == {
        "/dev/xvda": (100, "gp3", True),
        "/dev/sdb": (7, "gp3", False),
    }
    assert not volumes["/dev/sdb"]["DeleteOnTermination"]
    ids = [ebs["SnapshotId"] for ebs in volumes.values()]
    snapshots = aws.ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
    assert sorted(snapshot["VolumeSize"] for snapshot in snapshots) == [7, 100]
    assert all(snapshot["Tags"] == [{"Key": "of", "Value": "snapshot"}] for snapshot in snapshots)


def test_deprecation_protection_and_attributes_are_read_back(aws: Aws, image: str) -> None:
    aws.ec2.enable_image_deprecation(ImageId=image, DeprecateAt="2027-01-01T00:00:31Z")
    aws.ec2.modify_image_attribute(ImageId=image, ImdsSupport={"Value": "v2.0"})
    aws.ec2.modify_image_attribute(ImageId=image, Description={"Value": "changed"})
    aws.ec2.enable_image_deregistration_protection(ImageId=image)
    found = described(aws, image)
    assert found["DeprecationTime"] == "2027-01-01T00:01:00.000Z"
    assert (found["ImdsSupport"], found["Description"]) == ("v2.0", "changed")
    assert code(aws.ec2.deregister_image, ImageId=image) == "OperationNotPermitted"
    aws.ec2.disable_image_deregistration_protection(ImageId=image)
    aws.ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in described(aws, image)


def test_deregistration_deletes_snapshots_when_asked(aws: Aws, image: str) -> None:
    results = aws.ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)["DeleteSnapshotResults"]
    assert [result["ReturnCode"] for result in results] == ["success", "success"]
    for result in results:
        assert code(aws.ec2.describe_snapshots, SnapshotIds=[result["SnapshotId"]]) == "InvalidSnapshot.NotFound"
    assert code(aws.ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1) == "InvalidAMIID.Unavailable"


def test_disabled_image_is_hidden_and_does_not_start(aws: Aws, image: str) -> None:
    aws.ec2.disable_image(ImageId=image)
    shown = aws.ec2.describe_images(Owners=["self"])["Images"]
    assert image not in [one["ImageId"] for one in shown]
    shown = aws.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    assert image in [one["ImageId"] for one in shown]
    assert code(aws.ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1) == "InvalidAMIID.Unavailable"


def test_copy_has_volumes_and_snapshots_of_its_own(aws: Aws, image: str) -> None:
    name = f"copy-{image}"
    copy = aws.ec2.copy_image(SourceImageId=image, SourceRegion=REGION, Name=name, Encrypted=True, CopyImageTags=True)[
        "ImageId"
    ]
    of_copy, of_source = described(aws, copy), described(aws, image)
    sizes = [mapping["Ebs"]["VolumeSize"] for mapping in of_copy["BlockDeviceMappings"]]
    assert (sizes, of_copy["Tags"]) == ([100, 7], of_source["Tags"])
    assert all(mapping["Ebs"]["Encrypted"] for mapping in of_copy["BlockDeviceMappings"])
    ids = [{mapping["Ebs"]["SnapshotId"] for mapping in one["BlockDeviceMappings"]} for one in (of_copy, of_source)]
    assert ids[0].isdisjoint(ids[1])


# --- ECR --------------------------------------------------------------------------------------------------------------


def push(registry: RunningRegistry, repository: str, reference: str, layer: bytes) -> str:
    """Push an image of one layer; returns its digest."""

    def call(method: str, path: str, body: bytes = b"", **headers: str) -> str:
        connection = http.client.HTTPConnection(registry.address, timeout=5)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status < 300, (method, path, answer.status)
        connection.close()
        return answer.headers.get("Location") or ""

    entries = []
    for content in (b"{}", layer):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        location = call("POST", f"/v2/{repository}/blobs/uploads/")
        path = location.removeprefix(f"http://{registry.address}")
        call("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest}", content)
        entries.append({"digest": digest, "size": len(content), "mediaType": "application/octet-stream"})
    media_type = "application/vnd.oci.image.manifest.v1+json"
    entries[0]["mediaType"] = "application/vnd.oci.image.config.v1+json"
    entries[1]["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": entries[0], "layers": entries[1:]}
    body = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    call("PUT", f"/v2/{repository}/manifests/{reference or digest}", body, **{"Content-Type": media_type})
    return digest


def test_push_is_described_at_once_with_its_digest(aws: Aws, registry: RunningRegistry) -> None:
    uri = aws.ecr.create_repository(repositoryName="team/job")["repository"]["repositoryUri"]
    assert uri == f"123456789012.dkr.ecr.{REGION}.amazonaws.com/team/job"
    first = push(registry, "team/job", "v1", b"one")
    (found,) = aws.ecr.describe_images(repositoryName="team/job", imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert (found["imageDigest"], found["imageTags"], found["imageSizeInBytes"]) == (first, ["v1"], 5)
    second = push(registry, "team/job", "v1", b"two!")
    (found,) = aws.ecr.describe_images(repositoryName="team/job", imageIds=[{"imageTag": "v1"}])["imageDetails"]
    assert found["imageDigest"] == second
    got = aws.ecr.batch_get_image(repositoryName="team/job", imageIds=[{"imageDigest": first}])
    assert [image["imageId"]["imageDigest"] for image in got["images"]] == [first]


def test_push_by_digest_arrives_by_notification(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="by-digest")
    digest = push(registry, "by-digest", "", b"x")
    listed = until(lambda: aws.ecr.list_images(repositoryName="by-digest")["imageIds"])
    assert [image["imageDigest"] for image in listed] == [digest]


def test_deleted_image_is_gone_from_the_registry(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="deleted")
    digest = push(registry, "deleted", "v1", b"x")
    aws.ecr.batch_delete_image(repositoryName="deleted", imageIds=[{"imageDigest": digest}])
    assert aws.ecr.list_images(repositoryName="deleted")["imageIds"] == []


def test_deleted_tag_is_gone_and_the_others_stay(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="tags")
    digests = [push(registry, "tags", tag, b"x") for tag in ("v1", "v2")]
    assert digests[0] == digests[1]
    aws.ecr.batch_delete_image(repositoryName="tags", imageIds=[{"imageTag": "v1"}])
    listed = aws.ecr.list_images(repositoryName="tags")["imageIds"]
    assert listed == [{"imageDigest": digests[0], "imageTag": "v2"}]


def test_image_put_through_ecr_is_tagged_in_the_registry(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="retag")
    digest = push(registry, "retag", "v1", b"x")
    (image,) = aws.ecr.batch_get_image(repositoryName="retag", imageIds=[{"imageTag": "v1"}])["images"]
    aws.ecr.put_image(repositoryName="retag", imageManifest=image["imageManifest"], imageTag="stable")
    (found,) = aws.ecr.describe_images(repositoryName="retag")["imageDetails"]
    assert (found["imageDigest"], sorted(found["imageTags"])) == (digest, ["stable", "v1"])
    again = {"repositoryName": "retag", "imageManifest": image["imageManifest"], "imageTag": "stable"}
    assert code(aws.ecr.put_image, **again) == "ImageAlreadyExistsException"


def test_moved_tag_leaves_an_untagged_image(aws: Aws, registry: RunningRegistry) -> None:
    aws.ecr.create_repository(repositoryName="moved")
    digests = [push(registry, "moved", "v1", layer) for layer in (b"one", b"two")]
    until(lambda: len(aws.ecr.list_images(repositoryName="moved")["imageIds"]) == 2)
    found = aws.ecr.describe_images(repositoryName="moved")["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags") for image in found} == {digests[0]: None, digests[1]: ["v1"]}


def test_moved_immutable_tag_is_a_fault(aws: Aws, registry: RunningRegistry, emulator: Emulator) -> None:
    aws.ecr.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    for layer in (b"one", b"two"):
        push(registry, "fixed", "v1", layer)
        aws.ecr.list_images(repositoryName="fixed")
    assert [fault for fault in faults_of(emulator) if "fixed:v1" in fault]


def test_push_without_a_repository_is_a_fault(emulator: Emulator, registry: RunningRegistry) -> None:
    push(registry, "nowhere", "v1", b"x")
    until(lambda: [fault for fault in faults_of(emulator) if "no repository `nowhere`" in fault])


def faults_of(emulator: Emulator) -> list[str]:
    connection = http.client.HTTPConnection(emulator.endpoint.removeprefix("http://"), timeout=5)
    connection.request("GET", "/_capctl/status")
    document = json.loads(connection.getresponse().read())
    connection.close()
    return list(document["faults"])


def test_token_has_not_expired(aws: Aws) -> None:
    (token,) = aws.ecr.get_authorization_token()["authorizationData"]
    assert token["expiresAt"] > datetime.now(UTC)


# --- Batch ------------------------------------------------------------------------------------------------------------


class Batch:
    """One release's worth of Batch: an environment, a queue, definitions as they are asked for."""

    def __init__(self, aws: Aws, image: str, *, name: str, most_vcpus: int = 4, **resources: Any) -> None:
        self.aws, self.name, self.image = aws, name, image
        self.environment = aws.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": "SPOT",
                "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
                "minvCpus": 0,
                "maxvCpus": most_vcpus,
                "instanceTypes": ["g4dn.xlarge"],
                "subnets": [aws.ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
                "securityGroupIds": [aws.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
                "instanceRole": _instance_profile(aws),
                "ec2Configuration": [{"imageType": "ECS_AL2023_NVIDIA", "imageIdOverride": image}],
                **resources,
            },
        )["computeEnvironmentArn"]

    def describe(self) -> dict[str, Any]:
        (found,) = self.aws.batch.describe_compute_environments(computeEnvironments=[self.name])["computeEnvironments"]
        return dict(found)

    def open_queue(self) -> Batch:
        until(lambda: self.describe()["status"] == "VALID")
        order = [{"order": 1, "computeEnvironment": self.environment}]
        self.aws.batch.create_job_queue(jobQueueName=self.name, priority=1, computeEnvironmentOrder=order)
        return self

    def define(self, script: str, *, retry: Any = None, timeout_s: int | None = None, **properties: Any) -> str:
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        container = {"image": TINY_IMAGE, "command": ["sh", "-c", script], "resourceRequirements": needs, **properties}
        options: dict[str, Any] = {"retryStrategy": retry} if retry else {}
        if timeout_s:
            options["timeout"] = {"attemptDurationSeconds": timeout_s}
        name = f"job-{uuid.uuid4().hex[:8]}"
        return str(
            self.aws.batch.register_job_definition(
                jobDefinitionName=name, type="container", containerProperties=container, **options
            )["jobDefinitionArn"]
        )

    def submit(self, definition: str, **options: Any) -> str:
        return str(
            self.aws.batch.submit_job(jobName="job", jobQueue=self.name, jobDefinition=definition, **options)["jobId"]
        )

    def job(self, job_id: str) -> dict[str, Any]:
        (found,) = self.aws.batch.describe_jobs(jobs=[job_id])["jobs"]
        return dict(found)

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        until(lambda: self.job(job_id)["status"] in (states or ENDED))
        return self.job(job_id)

    def run(self, script: str, **properties: Any) -> dict[str, Any]:
        return self.wait(self.submit(self.define(script, **properties)))

    def log(self, job: dict[str, Any]) -> list[str]:
        stream = job["container"]["logStreamName"]
        events = self.aws.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)["events"]
        return [event["message"] for event in events]

    def close(self) -> None:
        for state in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"):
            for job in self.aws.batch.list_jobs(jobQueue=self.name, jobStatus=state)["jobSummaryList"]:
                self.aws.batch.terminate_job(jobId=job["jobId"], reason="the test is over")
        self.aws.batch.update_job_queue(jobQueue=self.name, state="DISABLED")
        self.aws.batch.delete_job_queue(jobQueue=self.name)
        self.aws.batch.update_compute_environment(computeEnvironment=self.name, state="DISABLED")
        self.aws.batch.delete_compute_environment(computeEnvironment=self.name)


def _instance_profile(aws: Aws) -> str:
    names = [profile["InstanceProfileName"] for profile in aws.iam.list_instance_profiles()["InstanceProfiles"]]
    if "test" not in names:
        aws.iam.create_instance_profile(InstanceProfileName="test")
    return "test"


def bake(aws: Aws, emulator: Emulator, **files: str) -> str:
    """An AMI with these files over the base image, by their paths with `__` for `/`."""
    run = aws.ec2.run_instances(ImageId=emulator.facts["base_ami"], MinCount=1, MaxCount=1)
    instance = run["Instances"][0]["InstanceId"]
    image = str(aws.ec2.create_image(InstanceId=instance, Name=f"bake-{uuid.uuid4().hex[:8]}")["ImageId"])
    for name, text in files.items():
        path = emulator.options.state / "amis" / image / "root" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return image


@pytest.fixture(scope="module")
def _engine() -> Iterator[None]:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    engine = docker.from_env()
    repository, _, tag = TINY_IMAGE.partition(":")
    engine.api.import_image_from_data(tiny_tar(), repository=repository, tag=tag)
    yield
    engine.images.remove(TINY_IMAGE, force=True)
    engine.close()


@pytest.fixture(scope="module")
def batch(aws: Aws, emulator: Emulator, _engine: None) -> Iterator[Batch]:
    image = bake(aws, emulator, opt__dl__models__weights="baked", opt__models__weights="top")
    opened = Batch(aws, image, name="test").open_queue()
    yield opened
    opened.close()


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
    job = batch.run(script, timeout_s=1, retry={"attempts": 3})
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
    assert batch.wait(waiting)["statusReason"] == "changed my mind"
    for job_id in first:
        batch.aws.batch.terminate_job(jobId=job_id, reason="done")
    by_definition = [{"name": "JOB_DEFINITION", "values": [definition]}]
    listed = batch.aws.batch.list_jobs(jobQueue="test", filters=by_definition)["jobSummaryList"]
    assert {job["jobId"] for job in listed} == {*first, waiting}


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


def test_without_an_engine_jobs_fail_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    options = EmulatorOptions(state=tmp_path / "state", rehearsal=f"test-{uuid.uuid4().hex[:8]}")
    with Emulator(options) as emulator:
        assert emulator.facts["no_jobs"].startswith("no container engine")
        aws = Aws(emulator.endpoint)
        opened = Batch(aws, emulator.facts["base_ami"], name="no-engine").open_queue()
        job = opened.run("true")
        assert (job["status"], job["statusReason"]) == ("FAILED", emulator.facts["no_jobs"])


def test_conditional_write_and_presigned_object(aws: Aws, emulator: Emulator) -> None:
    aws.dynamodb.create_table(
        TableName="releases",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {
        "TableName": "releases",
        "Item": {"pk": {"S": "pointer"}},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    aws.dynamodb.put_item(**item)
    assert code(aws.dynamodb.put_item, **item) == "ConditionalCheckFailedException"
    aws.s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.s3.put_object(Bucket="models", Key="a/b.onnx", Body=b"weights")
    url = aws.s3.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "a/b.onnx"})
    done = subprocess.run(
        ["curl", "-fsS", url], capture_output=True, check=True, env={**os.environ, "no_proxy": "127.0.0.1"}
    )
    assert done.stdout == b"weights"
