"""Batch calls about compute environments and job queues, with the rules of AWS about states and order."""

from __future__ import annotations

import time
from typing import Any

import moto.batch.models
from moto.batch.models import BatchBackend
from moto.moto_api._internal import mock_random

from lifecycle.rehearsal.emulator.compute_environments import RehearsalEnvironment, refuse

_MOST_ENVIRONMENTS = 3


class ComputeCalls(BatchBackend):  # type: ignore[misc]
    """The calls about where jobs run."""

    def create_compute_environment(
        self,
        compute_environment_name: str,
        _type: str,
        state: str | None,
        compute_resources: dict[str, Any] | None,
        service_role: str | None,
        tags: dict[str, str] | None = None,
    ) -> RehearsalEnvironment:
        if not moto.batch.models.COMPUTE_ENVIRONMENT_NAME_REGEX.match(compute_environment_name):
            raise refuse(f"the compute environment name `{compute_environment_name}` is not valid")
        if self.get_compute_environment_by_name(compute_environment_name) is not None:
            raise refuse("Object already exists")
        if _type == "MANAGED":
            if compute_resources is None:
                raise refuse("computeResources is required for a managed compute environment")
            self._check_resources(compute_resources)
        environment = RehearsalEnvironment(
            compute_environment_name,
            _type,
            state or "ENABLED",
            compute_resources,
            service_role,
            account_id=self.account_id,
            region_name=self.region_name,
            backend=self,
        )
        cluster_name = f"AWSBatch-{compute_environment_name}-{mock_random.uuid4()}"
        environment.set_ecs(self.ecs_backend.create_cluster(cluster_name).arn, cluster_name)
        self._compute_environments[environment.arn] = environment
        if tags:
            self.tag_resource(environment.arn, tags)
        return environment

    def _check_resources(self, resources: dict[str, Any]) -> None:
        checked = {"minvCpus": 0, **resources}
        if not checked.get("securityGroupIds") and checked.get("launchTemplate"):
            default = self.ec2_backend.get_default_security_group()
            checked["securityGroupIds"] = [default.id]
        missing = [name for name in ("subnets", "securityGroupIds", "instanceTypes") if not checked.get(name)]
        if missing and "FARGATE" not in checked["type"]:
            raise refuse(f"computeResources.{missing[0]} is required")
        self._validate_compute_resources(checked)

    def describe_compute_environments(self, environments: list[str] | None = None) -> list[dict[str, Any]]:
        return [
            environment.describe()
            for arn, environment in list(self._compute_environments.items())
            if not environments or arn in environments or environment.name in environments
        ]

    def update_compute_environment(
        self,
        compute_environment_name: str,
        state: str | None,
        compute_resources: dict[str, Any] | None,
        service_role: str | None,
        update_policy: dict[str, Any] | None = None,
    ) -> tuple[str, str]:
        environment = self._environment(compute_environment_name)
        if state is not None:
            environment.state = state
        if service_role is not None:
            environment.service_role = service_role
        if update_policy is not None:
            environment.update_policy = update_policy
        if compute_resources is not None:
            changed = {**environment.compute_resources, **compute_resources}
            self._check_resources(changed)
            environment.compute_resources = changed
            environment.resolve()
        environment.settle_again()
        return environment.name, environment.arn

    def delete_compute_environment(self, compute_environment_name: str) -> None:
        environment = self.get_compute_environment(compute_environment_name)
        if environment is None:
            return
        if environment.state != "DISABLED":
            raise refuse("Cannot delete, resource is not DISABLED")
        is_related = any(environment in queue.environments for queue in self._job_queues.values())
        if is_related or time.monotonic() < environment.related_until:
            raise refuse("Cannot delete, found existing JobQueue relationship")
        self._compute_environments.pop(environment.arn)
        environment.release()
        self.ecs_backend.delete_cluster(environment.ecs_name)

    def _environment(self, identifier: str) -> RehearsalEnvironment:
        environment = self.get_compute_environment(identifier)
        if environment is None:
            raise refuse(f"{identifier} does not exist")
        found: RehearsalEnvironment = environment
        return found

    # --- queues ---------------------------------------------------------------------------------------------------

    def create_job_queue(self, *arguments: Any, time_limit_actions: list[dict[str, Any]] | None, **options: Any) -> Any:
        options["compute_env_order"] = self._checked_order(options["compute_env_order"])
        options["state"] = options["state"] or "ENABLED"
        queue = super().create_job_queue(*arguments, **options)
        queue.time_limit_actions = time_limit_actions or []
        return queue

    def update_job_queue(
        self, queue_name: str, *arguments: Any, time_limit_actions: list[dict[str, Any]] | None, **options: Any
    ) -> tuple[str, str]:
        if options["compute_env_order"] is not None:
            options["compute_env_order"] = self._checked_order(options["compute_env_order"])
        super().update_job_queue(queue_name, *arguments, **options)
        queue = self.get_job_queue(queue_name)
        if time_limit_actions is not None:
            queue.time_limit_actions = time_limit_actions
        return queue.name, queue.arn

    def delete_job_queue(self, queue_name: str) -> None:
        queue = self.get_job_queue(queue_name)
        if queue is not None and queue.state != "DISABLED":
            raise refuse("Cannot delete, resource is not DISABLED")
        super().delete_job_queue(queue_name)
        for environment in queue.environments if queue else ():
            environment.related_until = time.monotonic() + environment.stage.relation_s
        for job in queue.jobs if queue else ():
            job.order_end("Job queue deleted", final=True)

    def _checked_order(self, order: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(order) > _MOST_ENVIRONMENTS:
            raise refuse(f"a job queue has at most {_MOST_ENVIRONMENTS} compute environments")
        checked = []
        for entry in order:
            environment = self._environment(entry["computeEnvironment"])
            if environment.status != "VALID":
                raise refuse(f"{environment.name} is not VALID, it is {environment.status}")
            checked.append({**entry, "computeEnvironment": environment.arn})
        return checked
