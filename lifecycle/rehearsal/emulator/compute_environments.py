"""Batch compute environments: their states, the AMI their instances boot, and the instance that hosts their jobs."""

from __future__ import annotations

import base64
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

from moto.batch.exceptions import ClientException
from moto.batch.models import ComputeEnvironment, JobQueue
from moto.ec2.exceptions import EC2ClientError
from moto.utilities.utils import get_partition

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID
from lifecycle.rehearsal.emulator.stage import Stage

SETTLE_S = 0.3  # how long a new or changed environment or queue says CREATING or UPDATING
_FALLBACK_TYPE = "m5.large"  # what `optimal` stands for here


class Host:
    """One EC2 instance of a compute environment: a record, whose disk shows the content of its AMI."""

    def __init__(self, environment_name: str, instance: Any, container_instance_arn: str, disk: Path) -> None:
        self.environment_name = environment_name
        self.instance = instance
        self.ami_id: str = instance.image_id
        self.container_instance_arn = container_instance_arn
        self.disk = disk
        self.lock = threading.Lock()

    def task_arn(self, name: str) -> str:
        prefix, _, rest = self.container_instance_arn.partition(":container-instance/")
        task = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        return f"{prefix}:task/{rest.rpartition('/')[0]}/{task}"


class RehearsalEnvironment(ComputeEnvironment):  # type: ignore[misc]
    """A compute environment that takes a moment to become VALID, and says INVALID for what AWS finds out only then."""

    stage: ClassVar[Stage]

    def __init__(self, *arguments: Any, backend: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.backend = backend
        self.uuid = str(uuid.uuid4())
        self.update_policy: dict[str, Any] | None = None
        self.ami_id: str | None = None
        self._problem: str | None = None
        self._passing = "CREATING"
        self._is_told = False
        self._settled_at = time.monotonic() + SETTLE_S
        # Until then a queue that was deleted stands against the deletion.
        self.related_until = 0.0
        self._host: Host | None = None
        self._lock = threading.Lock()
        self.resolve()

    @property
    def status(self) -> str:
        if time.monotonic() < self._settled_at:
            return self._passing
        return "INVALID" if self._problem else "VALID"

    @property
    def takes_jobs(self) -> bool:
        return self.state == "ENABLED" and self.status in ("VALID", "UPDATING")

    @property
    def most_vcpus(self) -> float:
        return float((self.compute_resources or {}).get("maxvCpus", 0))

    def settle_again(self) -> None:
        self._passing, self._is_told, self._settled_at = "UPDATING", False, time.monotonic() + SETTLE_S

    def resolve(self) -> None:
        """Find the AMI and read the launch template, as AWS does when an environment is created or changed."""
        self._problem = None
        if self.env_type != "MANAGED" or "FARGATE" in self.compute_resources["type"]:
            return
        try:
            template = self._template()
        except (EC2ClientError, IndexError, KeyError, AttributeError) as err:
            self._problem = f"CLIENT_ERROR - the launch template cannot be read: {err}"
            return
        self.ami_id = (
            self._configured_ami() or template.get("ImageId") or self.compute_resources.get("imageId") or BASE_AMI_ID
        )
        try:
            self.backend.ec2_backend.require_launchable(self.ami_id)
        except EC2ClientError as err:
            self._problem = f"CLIENT_ERROR - the AMI {self.ami_id} cannot be described: {err.message}"
            return
        if user_data := template.get("UserData"):
            text = base64.b64decode(str(user_data)).lstrip()
            if not text.startswith((b"MIME-Version:", b"Content-Type: multipart/")):
                self._problem = "CLIENT_ERROR - Launch Template UserData is not MIME multipart format"

    def host(self) -> Host | None:
        """The running instance of this environment; starts one when there is none, and turns INVALID if that fails."""
        with self._lock:
            if self._host is None or self._host.instance.state != "running" or self._host.ami_id != self.ami_id:
                self._release()
                try:
                    self._host = self._start_host()
                except EC2ClientError as err:
                    self._problem = f"CLIENT_ERROR - {err.message}"
            return self._host

    def release(self) -> None:
        with self._lock:
            self._release()

    def _release(self) -> None:
        host, self._host = self._host, None
        if host is None:
            return
        self.stage.hosted.pop(host.instance.id, None)
        self.backend.ecs_backend.deregister_container_instance(self.ecs_name, host.container_instance_arn, force=True)
        if host.instance.state != "terminated":
            self.backend.ec2_backend.terminate_instances([host.instance.id])
        shutil.rmtree(host.disk, ignore_errors=True)
        self.stage.layers.collect(self.stage.layers_in_use())

    def _start_host(self) -> Host:
        resources = self.compute_resources
        template = _template_argument(resources.get("launchTemplate"))
        types = [name for name in resources.get("instanceTypes") or () if "." in name] or [_FALLBACK_TYPE]
        tags = {"AWSBatchServiceTag": "batch", "Name": self.name, **(resources.get("tags") or {})}
        options: dict[str, Any] = {"launch_template": template} if template else {}
        if resources["type"] == "SPOT":
            options["instance_market_options"] = "spot"
        reservation = self.backend.ec2_backend.run_instances(
            self.ami_id,
            1,
            None,
            [],
            instance_type=types[0],
            is_instance_type_default=False,
            region_name=self.backend.region_name,
            subnet_id=resources["subnets"][0],
            security_group_ids=list(resources.get("securityGroupIds") or ()),
            tags={"instance": tags},
            **options,
        )
        (instance,) = reservation.instances
        registered = self.backend.ecs_backend.register_container_instance(self.ecs_name, instance.id)
        self.stage.hosted[instance.id] = instance.image_id
        disk = self.stage.state / "hosts" / instance.id
        return Host(self.name, instance, registered.container_instance_arn, disk)

    def _configured_ami(self) -> str | None:
        for entry in self.compute_resources.get("ec2Configuration") or ():
            if entry.get("imageIdOverride"):
                return str(entry["imageIdOverride"])
        return None

    def _template(self) -> dict[str, Any]:
        argument = _template_argument(self.compute_resources.get("launchTemplate"))
        if argument is None:
            return {}
        data: dict[str, Any] = self.backend.ec2_backend._get_template_from_args(argument).data
        return data

    def describe(self) -> dict[str, Any]:
        service_role = self.service_role or _service_linked_role(self.backend)
        # Whoever looks after a change sees it under way once at least, however long the way to here took.
        status, self._is_told = (self.status if self._is_told else self._passing), True
        described = {
            "computeEnvironmentArn": self.arn,
            "computeEnvironmentName": self.name,
            "containerOrchestrationType": "ECS",
            "ecsClusterArn": self.ecs_arn,
            "serviceRole": service_role,
            "state": self.state,
            "status": status,
            "statusReason": self._problem if status == "INVALID" else "ComputeEnvironment Healthy",
            "type": self.env_type,
            "uuid": self.uuid,
            "tags": self.backend.list_tags_for_resource(self.arn),
        }
        if self.env_type == "MANAGED":
            described["computeResources"] = {"desiredvCpus": 0, **self.compute_resources}
        if self.update_policy:
            described["updatePolicy"] = self.update_policy
        return described


class RehearsalQueue(JobQueue):  # type: ignore[misc]
    """A job queue that keeps its time limits and names its environments by ARN."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.time_limit_actions: list[dict[str, Any]] = []
        self._settled_at = time.monotonic() + SETTLE_S

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = super().describe()
        described["computeEnvironmentOrder"] = [
            {"order": entry["order"], "computeEnvironment": environment.arn}
            for entry, environment in zip(
                sorted(self.env_order_json, key=lambda item: item["order"]), self.environments, strict=True
            )
        ]
        described["status"] = "VALID" if time.monotonic() >= self._settled_at else "CREATING"
        described["statusReason"] = "JobQueue Healthy"
        described["jobStateTimeLimitActions"] = self.time_limit_actions
        return {name: value for name, value in described.items() if value is not None}


def refuse(message: str) -> ClientException:
    """Batch's error for a call that its rules forbid."""
    return ClientException(f"Error executing request, Exception : {message}")


def _template_argument(template: dict[str, Any] | None) -> dict[str, str] | None:
    if not template:
        return None
    names = {"launchTemplateId": "LaunchTemplateId", "launchTemplateName": "LaunchTemplateName", "version": "Version"}
    return {names[name]: str(value) for name, value in template.items() if name in names and value}


def _service_linked_role(backend: Any) -> str:
    partition = get_partition(backend.region_name)
    path = "aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
    return f"arn:{partition}:iam::{backend.account_id}:role/{path}"
