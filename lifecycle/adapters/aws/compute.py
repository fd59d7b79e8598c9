"""The queues, compute environments, job definitions, launch templates and instances of a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lifecycle.adapters.aws.errors import translated
from lifecycle.adapters.aws.scanning import managed, pages
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.compute import (
    DefinitionRecord,
    EnvironmentRecord,
    HostRecord,
    QueueRecord,
    TemplateRecord,
    release_in,
)
from lifecycle.domain.job import QueueState
from lifecycle.domain.tags import Tag

_THERE = ("pending", "running", "shutting-down", "stopping", "stopped")
_VERSIONS = "describe_launch_template_versions"


class AwsCompute:
    """`ports.Compute` by the APIs of Batch and EC2. Batch allows 50 queues and 50 environments, which is less than a page."""

    def __init__(self, session: AwsSession, project: str) -> None:
        self._session, self._project = session, project

    def queues(self) -> tuple[QueueRecord, ...]:
        with translated("listing job queues"):
            found = self._of_batch("describe_job_queues", "jobQueues", "jobQueueName")
            return tuple(_queue(one) for one in found)

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        with translated("listing compute environments"):
            found = self._of_batch("describe_compute_environments", "computeEnvironments", "computeEnvironmentName")
            return tuple(_environment(one) for one in found)

    def definitions(self) -> tuple[DefinitionRecord, ...]:
        with translated("listing job definitions"):
            found = self._of_batch("describe_job_definitions", "jobDefinitions", "jobDefinitionName", status="ACTIVE")
            return tuple(_definition(one) for one in found)

    def templates(self) -> tuple[TemplateRecord, ...]:
        ec2, templates = self._session.client("ec2"), dict[str, TemplateRecord]()
        services = managed(ec2, "DescribeLaunchTemplateVersions")
        with translated("reading launch templates"):
            found = pages(ec2, _VERSIONS, size=200, Versions=["$Latest", "$Default"], **services)
            newest: dict[str, list[dict[str, Any]]] = {}
            for one in (each for page in found for each in page["LaunchTemplateVersions"]):
                if release_in(str(one.get("LaunchTemplateName", "")), self._project):
                    newest.setdefault(one["LaunchTemplateId"], []).append(one)
            for template_id, told in newest.items():
                # Numbers count from 1. A template of ours has one version; only of one that was changed are there others to ask for.
                is_changed = {one["VersionNumber"] for one in told} != {1}
                others = pages(ec2, _VERSIONS, size=200, LaunchTemplateId=template_id, **services) if is_changed else ()
                versions = [each for page in others for each in page["LaunchTemplateVersions"]] or told
                templates[template_id] = TemplateRecord(
                    id=template_id,
                    name=versions[0]["LaunchTemplateName"],
                    amis={str(one["VersionNumber"]): AmiId(_data(one).get("ImageId", "")) for one in versions},
                )
        return tuple(templates.values())

    def hosts(self) -> tuple[HostRecord, ...]:
        ec2 = self._session.client("ec2")
        filters = [
            {"Name": f"tag:{Tag.PROJECT}", "Values": [self._project]},
            {"Name": "tag-key", "Values": [Tag.RELEASE]},
            {"Name": "instance-state-name", "Values": [*_THERE]},
        ]
        with translated(f"listing the instances of `{self._project}`"):
            found = pages(ec2, "describe_instances", size=1000, Filters=filters, **managed(ec2, "DescribeInstances"))
            instances = [one for page in found for group in page["Reservations"] for one in group["Instances"]]
        return tuple(_host(one) for one in instances)

    def _of_batch(self, call: str, key: str, name: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """Those of the project, in a listing of Batch."""
        for page in pages(self._session.client("batch"), call, size=100, **asked):
            for one in page[key]:
                tags = one.get("tags") or {}
                if release_in(one[name], self._project) or tags.get(Tag.PROJECT) == self._project:
                    yield one


def _queue(told: dict[str, Any]) -> QueueRecord:
    order = sorted(told.get("computeEnvironmentOrder") or (), key=lambda entry: int(entry["order"]))
    return QueueRecord(
        arn=told["jobQueueArn"],
        name=told["jobQueueName"],
        state=QueueState(told.get("status", "")),
        reason=told.get("statusReason") or "",
        is_enabled=told.get("state") == "ENABLED",
        environment_arns=tuple(entry["computeEnvironment"] for entry in order),
    )


def _environment(told: dict[str, Any]) -> EnvironmentRecord:
    resources = told.get("computeResources") or {}
    template = resources.get("launchTemplate") or {}
    named = [entry.get("imageIdOverride") for entry in resources.get("ec2Configuration") or ()]
    return EnvironmentRecord(
        arn=told["computeEnvironmentArn"],
        name=told["computeEnvironmentName"],
        state=QueueState(told.get("status", "")),
        reason=told.get("statusReason") or "",
        is_enabled=told.get("state") == "ENABLED",
        max_vcpus=resources.get("maxvCpus"),
        template_id=template.get("launchTemplateId") or template.get("launchTemplateName") or "",
        template_version=str(template.get("version") or ""),
        ami_overrides=tuple(AmiId(one) for one in (resources.get("imageId"), *named) if one),
    )


def _definition(told: dict[str, Any]) -> DefinitionRecord:
    return DefinitionRecord(
        arn=told["jobDefinitionArn"],
        name=told["jobDefinitionName"],
        image=(told.get("containerProperties") or {}).get("image") or "",
    )


def _host(told: dict[str, Any]) -> HostRecord:
    tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags") or ()}
    return HostRecord(id=told["InstanceId"], release_id=tags.get(Tag.RELEASE, ""), ami_id=AmiId(told["ImageId"]))


def _data(version: dict[str, Any]) -> dict[str, Any]:
    return version.get("LaunchTemplateData") or {}
