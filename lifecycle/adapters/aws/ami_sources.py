"""What names AMIs in an account, one function per source. Each reads its source to the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifecycle.adapters.aws import scanning
from lifecycle.adapters.aws.scanning import managed, pages, parameter_values, readable_parameters, texts
from lifecycle.domain.usage import Use

_ID = re.compile(r"\b(?:ami|snap)-[0-9a-z]{8,32}\b")
_PARAMETER = re.compile(r"resolve:ssm:([^\s\"']+)")
_ENDED_FLEETS = {"deleted", "deleted_running", "deleted_terminating"}
_ENDED_SPOT_FLEETS = {"cancelled", "cancelled_running", "cancelled_terminating", "failed"}
_ENDED_SPOT_REQUESTS = {"closed", "cancelled", "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a source names: ids, versions of launch templates as (id or name, version), parameters that stand for AMIs.

    `aliases` holds each parameter with the use that its value makes; the id of that use is still to be filled in.
    """

    uses: list[Use] = field(default_factory=list)
    versions: set[tuple[str, str]] = field(default_factory=set)
    aliases: list[tuple[str, Use]] = field(default_factory=list)

    def add(self, document: Any, *, kind: str, name: str, detail: str = "") -> None:
        """Take everything that `document` names, at whatever depth: what AWS adds to its answers counts from the first day."""
        told = list(texts(document))
        for used in dict.fromkeys(one for text in told for one in _ID.findall(text)):
            self.uses.append(Use(of=used, kind=kind, name=name, detail=detail))
        for alias in dict.fromkeys(one for text in told for one in _PARAMETER.findall(text)):
            self.aliases.append((alias, Use(of="", kind=kind, name=name, detail=detail or f"through {alias}")))
        self.versions.update(_versions(document))


def instances(ec2: Any, found: Found) -> None:
    """Every instance that was not terminated; one that is stopped can start again."""
    wanted = ["pending", "running", "shutting-down", "stopping", "stopped"]
    running = pages(
        ec2,
        "describe_instances",
        size=1000,
        Filters=[{"Name": "instance-state-name", "Values": wanted}],
        **managed(ec2, "DescribeInstances"),
    )
    for page in running:
        for instance in (one for group in page["Reservations"] for one in group["Instances"]):
            found.add(
                instance.get("ImageId"),
                kind="instance",
                name=instance["InstanceId"],
                detail=instance.get("State", {}).get("Name", ""),
            )


def scaling_groups(autoscaling: Any, found: Found) -> None:
    """Auto Scaling groups and what they name."""
    for page in pages(autoscaling, "describe_auto_scaling_groups", size=100):
        for group in page["AutoScalingGroups"]:
            # What its instances were started from is told by the instances.
            asked = {key: value for key, value in group.items() if key != "Instances"}
            found.add(asked, kind="Auto Scaling group", name=group["AutoScalingGroupName"])


def launch_configurations(autoscaling: Any, found: Found) -> None:
    """The predecessors of launch templates; a group can take one up at any time."""
    for page in pages(autoscaling, "describe_launch_configurations", size=100):
        for one in page["LaunchConfigurations"]:
            found.add(_without_user_data(one), kind="launch configuration", name=one["LaunchConfigurationName"])


def compute_environments(batch: Any, found: Found) -> None:
    """Compute environments of Batch, disabled ones too: they can be enabled, and queued jobs may wait for that."""
    for page in pages(batch, "describe_compute_environments", size=100):
        for one in page["computeEnvironments"]:
            found.add(
                one.get("computeResources"),
                kind="compute environment",
                name=one["computeEnvironmentName"],
                detail="" if one.get("state") == "ENABLED" else "disabled",
            )


def fleets(ec2: Any, found: Found) -> None:
    """EC2 fleets that may start instances."""
    for page in pages(ec2, "describe_fleets", size=100):
        for one in page["Fleets"]:
            if one.get("FleetState") not in _ENDED_FLEETS:
                found.add(one, kind="fleet", name=one["FleetId"])


def spot_fleets(ec2: Any, found: Found) -> None:
    """Spot fleets that may start instances."""
    for page in pages(ec2, "describe_spot_fleet_requests", size=100):
        for one in page["SpotFleetRequestConfigs"]:
            if one.get("SpotFleetRequestState") not in _ENDED_SPOT_FLEETS:
                found.add(
                    _without_user_data(one.get("SpotFleetRequestConfig")),
                    kind="Spot fleet",
                    name=one["SpotFleetRequestId"],
                )


def spot_requests(ec2: Any, found: Found) -> None:
    """Requests for Spot instances that are not fulfilled yet, or will be again."""
    for page in pages(ec2, "describe_spot_instance_requests", size=1000):
        for one in page["SpotInstanceRequests"]:
            if one.get("State") not in _ENDED_SPOT_REQUESTS:
                found.add(
                    _without_user_data(one.get("LaunchSpecification")),
                    kind="Spot request",
                    name=one["SpotInstanceRequestId"],
                )


def parameters(ssm: Any, found: Found) -> None:
    """Parameters whose text holds an id, in JSON too."""
    for name, value in readable_parameters(ssm):
        found.add(value, kind="parameter", name=name)


def template_versions(ec2: Any, found: Found, *, newest: int, named: Iterable[tuple[str, str]]) -> None:
    """Launch templates: the default and the latest version, the `newest` ones, and those that other sources `named`."""
    for described in scanning.template_versions(ec2, newest=newest, named=named):
        found.add(
            _without_user_data(described.get("LaunchTemplateData")),
            kind="launch template",
            name=described.get("LaunchTemplateName", described["LaunchTemplateId"]),
            detail=f"version {described['VersionNumber']}",
        )


def resolve(ssm: Any, found: Found, *, aliases: Sequence[tuple[str, Use]]) -> None:
    """What the parameters of `aliases` stand for. One that does not exist stands for nothing: launches with it fail."""
    values = dict(parameter_values(ssm, list(dict.fromkeys(alias for alias, _ in aliases))))
    for alias, use in aliases:
        for used in _ID.findall(values.get(alias, "")):
            found.uses.append(Use(of=used, kind=use.kind, name=use.name, detail=use.detail))


def _without_user_data(document: Any) -> Any:
    """Without text in base64, in which an id can be found by chance."""
    if isinstance(document, dict):
        return {key: _without_user_data(value) for key, value in document.items() if key != "UserData"}
    return [_without_user_data(value) for value in document] if isinstance(document, list) else document


def _versions(document: Any) -> Iterator[tuple[str, str]]:
    """Every version of a launch template that is named anywhere in `document`, in the words of EC2 or of Batch."""
    if isinstance(document, dict):
        low = {key[:1].lower() + key[1:]: value for key, value in document.items()}
        for name in (low.get("launchTemplateId"), low.get("launchTemplateName")):
            if name:
                yield str(name), str(low.get("version", ""))
    for value in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from _versions(value)
