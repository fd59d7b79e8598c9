"""Compute environments and job queues."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import NotReady, Properties, Resource, changed, tag_change
from lifecycle.rehearsal.provider.rules import matching, one_of, within

# Batch spells these in its own way.
_APINAMES = {"minVcpus": "minvCpus", "maxVcpus": "maxvCpus", "desiredVcpus": "desiredvCpus",
              "ec2Configurations": "ec2Configuration"}  # fmt: skip
_SCHEMANAMES = {api: schema for schema, api in _APINAMES.items()}

# With one of these strategies, and the service-linked role, Batch replaces hosts within the compute environment.
_UPDATABLE = {"BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED"}
_SCALING = {"minVcpus", "maxVcpus", "desiredVcpus"}

_SETTLED = {"VALID", "INVALID"}
_POLL_S = 0.1
_TIMEOUT_S = 120.0


def settled(describe: Callable[[], list[dict[str, Any]]]) -> dict[str, Any] | None:
    """Wait until what `describe` finds is VALID or INVALID; None once it is gone. Raises `TimeoutError`."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        found = [item for item in describe() if item.get("status") != "DELETED"]
        if not found:
            return None
        if found[0]["status"] in _SETTLED:
            return found[0]
        time.sleep(_POLL_S)
    raise TimeoutError(f"Batch resource did not settle within {_TIMEOUT_S:.0f} s")


NAME = matching("name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", "1 to 128 letters, digits, `_` and `-`")


class BatchResource(Resource):
    """What Batch knows by its ARN."""

    def retag(self, old: Properties, new: Properties, arn: str) -> None:
        """Change the tags."""
        put, gone = tag_change(old, new)
        if gone:
            self._clients["batch"].untag_resource(resourceArn=arn, tagKeys=gone)
        if put:
            self._clients["batch"].tag_resource(resourceArn=arn, tags=put)


class ComputeEnvironment(BatchResource):
    """Created with the service-linked role, as a release's is, it changes in place except for name and type."""

    token = "aws:batch/computeEnvironment:ComputeEnvironment"
    applied = frozenset({"name", "type", "state", "computeResources", "tags"})
    fixed = frozenset({"name", "namePrefix", "type", "eksConfiguration", "region"})
    rules = (
        NAME,
        one_of("type", "MANAGED"),
        one_of("state", "ENABLED", "DISABLED"),
        one_of("computeResources.type", "EC2", "SPOT"),
        one_of("computeResources.allocationStrategy", *sorted(_UPDATABLE), "BEST_FIT"),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["batch"].create_compute_environment(
            computeEnvironmentName=inputs["name"],
            type=inputs["type"],
            state=inputs.get("state", "ENABLED"),
            computeResources=_renamed(inputs["computeResources"], _APINAMES),
            tags=inputs.get("tags", {}),
        )
        arn = made["computeEnvironmentArn"]
        found = self._settled(arn)
        computed = _environment_computed(found) if found else {"arn": arn}
        if found and found["status"] == "INVALID":
            raise NotReady(inputs["name"], computed, f"unexpected state 'INVALID': {found.get('statusReason', '')}")
        return inputs["name"], computed

    def read(self, resource_id: str) -> Properties | None:
        found = [item for item in self._describe(resource_id) if item.get("status") != "DELETED"]
        if not found:
            return None
        resources = _renamed(found[0].get("computeResources", {}), _SCHEMANAMES)
        # Batch moves it with the jobs that wait.
        resources.pop("desiredVcpus", None)
        return {
            "name": found[0]["computeEnvironmentName"],
            "type": found[0]["type"],
            "state": found[0]["state"],
            "computeResources": resources,
            "tags": found[0].get("tags", {}),
            **_environment_computed(found[0]),
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        resources = _renamed(new["computeResources"], _APINAMES)
        self._clients["batch"].update_compute_environment(
            computeEnvironment=resource_id,
            state=new.get("state", "ENABLED"),
            computeResources=resources,
        )
        self.retag(old, new, self._describe(resource_id)[0]["computeEnvironmentArn"])
        found = self._settled(resource_id)
        return _environment_computed(found) if found else {}

    def delete(self, resource_id: str) -> None:
        if self._settled(resource_id) is None:
            return
        batch = self._clients["batch"]
        batch.update_compute_environment(computeEnvironment=resource_id, state="DISABLED")
        self._settled(resource_id)
        batch.delete_compute_environment(computeEnvironment=resource_id)
        if self._settled(resource_id) is not None:
            raise ClientError({"Error": {"Code": "INVALID", "Message": f"{resource_id} is still there"}}, "Delete")

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        replaces = super().replaced_by(old, new)
        if "computeResources" in changed(old, new) and _replaces_resources(old, new):
            replaces.add("computeResources")
        return replaces

    def _describe(self, reference: str) -> list[dict[str, Any]]:
        answer = self._clients["batch"].describe_compute_environments(computeEnvironments=[reference])
        found: list[dict[str, Any]] = answer["computeEnvironments"]
        return found

    def _settled(self, reference: str) -> dict[str, Any] | None:
        return settled(lambda: self._describe(reference))


class JobQueue(BatchResource):
    """Everything but the name changes in place."""

    token = "aws:batch/jobQueue:JobQueue"
    applied = frozenset({"name", "state", "priority", "computeEnvironmentOrders", "jobStateTimeLimitActions", "tags"})
    fixed = frozenset({"name", "region"})
    rules = (
        NAME,
        one_of("state", "ENABLED", "DISABLED"),
        within("priority", 0, 1000),
        one_of("jobStateTimeLimitActions.state", "RUNNABLE"),
        one_of("jobStateTimeLimitActions.action", "CANCEL", "TERMINATE"),
        within("jobStateTimeLimitActions.maxTimeSeconds", 600, 86_400),
    )

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        made = self._clients["batch"].create_job_queue(
            jobQueueName=inputs["name"],
            state=inputs["state"],
            priority=inputs["priority"],
            computeEnvironmentOrder=inputs["computeEnvironmentOrders"],
            jobStateTimeLimitActions=inputs.get("jobStateTimeLimitActions", []),
            tags=inputs.get("tags", {}),
        )
        self._settled(made["jobQueueArn"])
        return made["jobQueueArn"], {"arn": made["jobQueueArn"]}

    def read(self, resource_id: str) -> Properties | None:
        found = [item for item in self._describe(resource_id) if item.get("status") != "DELETED"]
        if not found:
            return None
        return {
            "name": found[0]["jobQueueName"],
            "state": found[0]["state"],
            "priority": found[0]["priority"],
            "computeEnvironmentOrders": found[0]["computeEnvironmentOrder"],
            "jobStateTimeLimitActions": found[0].get("jobStateTimeLimitActions", []),
            "tags": found[0].get("tags", {}),
            "arn": found[0]["jobQueueArn"],
        }

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        self._clients["batch"].update_job_queue(
            jobQueue=resource_id,
            state=new["state"],
            priority=new["priority"],
            computeEnvironmentOrder=new["computeEnvironmentOrders"],
            jobStateTimeLimitActions=new.get("jobStateTimeLimitActions") or [],
        )
        self.retag(old, new, resource_id)
        self._settled(resource_id)
        return {"arn": resource_id}

    def delete(self, resource_id: str) -> None:
        if self._settled(resource_id) is None:
            return
        batch = self._clients["batch"]
        batch.update_job_queue(jobQueue=resource_id, state="DISABLED")
        self._settled(resource_id)
        batch.delete_job_queue(jobQueue=resource_id)
        self._settled(resource_id)

    def _describe(self, reference: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._clients["batch"].describe_job_queues(jobQueues=[reference])["jobQueues"]
        return found

    def _settled(self, reference: str) -> dict[str, Any] | None:
        return settled(lambda: self._describe(reference))


def _renamed(resources: Properties, names: dict[str, str]) -> Properties:
    return {names.get(name, name): value for name, value in resources.items()}


def _environment_computed(found: dict[str, Any]) -> Properties:
    return {
        "arn": found["computeEnvironmentArn"],
        "ecsClusterArn": found.get("ecsClusterArn", ""),
        "status": found["status"],
        "statusReason": found.get("statusReason", ""),
    }


def _replaces_resources(old: Properties, new: Properties) -> bool:
    before, after = old.get("computeResources") or {}, new.get("computeResources") or {}
    if not isinstance(after, dict):
        # Unknown as yet: so the engine asks what becomes of an environment whose launch template goes.
        return True
    names = changed(before, after)
    if names & {"placementGroup", "spotIamFleetRole"}:
        return True
    if any(bool(before.get(block)) != bool(after.get(block)) for block in ("launchTemplate", "ec2Configurations")):
        return True
    in_place = before.get("allocationStrategy") in _UPDATABLE and after.get("allocationStrategy") in _UPDATABLE
    return not in_place and bool(names - _SCALING)
