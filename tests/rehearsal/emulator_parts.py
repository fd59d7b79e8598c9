"""The emulator under test with its registry, and what its tests push, bake and submit."""

from __future__ import annotations

import hashlib
import http.client
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.services.registry import RunningRegistry
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws, until

ENDED = ("SUCCEEDED", "FAILED")
# Of the hosts of its queues.
INSTANCE_TYPE = "g4dn.xlarge"


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as failed:
        call(**arguments)
    return str(failed.value.response["Error"]["Code"])


def message(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as failed:
        call(**arguments)
    return str(failed.value.response["Error"]["Message"])


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


def faults_of(emulator: Emulator) -> list[str]:
    connection = http.client.HTTPConnection(emulator.endpoint.removeprefix("http://"), timeout=5)
    connection.request("GET", "/_capctl/status")
    document = json.loads(connection.getresponse().read())
    connection.close()
    return list(document["faults"])


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
                "instanceTypes": [INSTANCE_TYPE],
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
