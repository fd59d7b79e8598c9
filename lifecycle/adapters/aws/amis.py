"""AMIs through EC2, and the parameters that name base AMIs through SSM."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.deregister import deregister, snapshots_of
from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId, AmiRecord, AmiState, Grant, SnapshotRecord, Tag, parse_ami_id
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.baker import AmiNameTaken

_FILTER_VALUES = 200  # the most that EC2 takes in one filter
# The fields of a launch permission, as EC2 and as `Grant` name them.
_GRANTS = {"UserId": "account", "OrganizationArn": "organization", "OrganizationalUnitArn": "unit", "Group": "group"}
_MADE_FROM = re.compile(r"Created by CreateImage\((i-[0-9a-f]+)\)")


class Ec2Amis:
    """`ports.Amis` in the target's region, or in another."""

    def __init__(self, session: AwsSession, region: str | None = None) -> None:
        self._session = session
        self._region = region

    @cached_property
    def _ec2(self) -> Any:
        return self._session.client("ec2", self._region)

    def resolve_base(self, reference: str) -> AmiId:
        if not reference.startswith("/"):
            return parse_ami_id(reference)
        with translated(f"reading SSM parameter `{reference}`"):
            try:
                answer = self._session.client("ssm", self._region).get_parameter(Name=reference)
            except ClientError as error:
                if is_missing(error):
                    raise UsageError(
                        "base-ami-unknown",
                        f"There is no SSM parameter `{reference}`",
                        hint="Set `ami.base` to an AMI id, or to a parameter that `aws ssm get-parameter --name` finds",
                    ) from error
                raise
        return parse_ami_id(answer["Parameter"]["Value"])

    def get(self, ami_id: AmiId) -> AmiRecord:
        record = self._find(ami_id)
        if record is None:
            raise CapctlError(
                "ami-missing", f"There is no AMI `{ami_id}`", hint="Run `capctl ami ls` to see those that exist"
            )
        return record

    def by_name(self, name: str) -> AmiRecord | None:
        with translated(f"looking for AMI `{name}`"):
            answer = self._ec2.describe_images(
                Owners=["self"], IncludeDisabled=True, Filters=[{"Name": "name", "Values": [name]}]
            )
        # One that was deregistered is still shown for a while; its name is free.
        found = (record for record in map(ami_record, answer["Images"]) if record.state is not AmiState.DEREGISTERED)
        return next(found, None)

    def list(self, project: str) -> tuple[AmiRecord, ...]:
        filters = [{"Name": f"tag:{Tag.PROJECT}", "Values": [project]}]
        with translated(f"listing the AMIs of `{project}`"):
            pages = self._ec2.get_paginator("describe_images").paginate(
                Owners=["self"], IncludeDisabled=True, Filters=filters
            )
            found = [ami_record(image) for page in pages for image in page["Images"]]
        return tuple(sorted(found, key=lambda ami: (ami.created, ami.id), reverse=True))

    def snapshots(self, ids: Collection[str]) -> tuple[SnapshotRecord, ...]:
        wanted, found = sorted(set(ids)), []
        with translated("reading snapshots"):
            for start in range(0, len(wanted), _FILTER_VALUES):
                pages = self._ec2.get_paginator("describe_snapshots").paginate(
                    OwnerIds=["self"],
                    Filters=[{"Name": "snapshot-id", "Values": wanted[start : start + _FILTER_VALUES]}],
                )
                found += [_snapshot(snapshot) for page in pages for snapshot in page["Snapshots"]]
        return tuple(found)

    def source_instance(self, ami_id: AmiId) -> str:
        with translated(f"reading where AMI `{ami_id}` comes from"):
            images = self._ec2.describe_images(ImageIds=[ami_id], IncludeDisabled=True)["Images"]
            if not images:
                return ""
            if told := images[0].get("SourceInstanceId"):
                return str(told)
            # AMIs from before EC2 told it carry it in the description of their snapshots; those of others are out of sight.
            wanted = [{"Name": "snapshot-id", "Values": list(snapshots_of(images[0]))}]
            snapshots = self._ec2.describe_snapshots(Filters=wanted)["Snapshots"] if wanted[0]["Values"] else []
        matches = [_MADE_FROM.search(snapshot.get("Description", "")) for snapshot in snapshots]
        return next((match[1] for match in matches if match), "")

    def tag(self, ami_id: AmiId, tags: dict[str, str]) -> None:
        resources = [ami_id, *self.get(ami_id).snapshot_ids]
        with translated(f"tagging AMI `{ami_id}`"):
            self._ec2.create_tags(Resources=resources, Tags=[{"Key": key, "Value": tags[key]} for key in sorted(tags)])

    def require_imds_v2(self, ami_id: AmiId) -> None:
        with translated(f"requiring IMDSv2 on AMI `{ami_id}`"):
            self._ec2.modify_image_attribute(ImageId=ami_id, ImdsSupport={"Value": "v2.0"})

    def deprecate(self, ami_id: AmiId, at: datetime | None) -> None:
        with translated(f"setting when AMI `{ami_id}` is deprecated"):
            if at:
                self._ec2.enable_image_deprecation(ImageId=ami_id, DeprecateAt=at)
            else:
                self._ec2.disable_image_deprecation(ImageId=ami_id)

    def disable(self, ami_id: AmiId) -> None:
        if self.get(ami_id).state is not AmiState.DISABLED:
            with translated(f"disabling AMI `{ami_id}`"):
                self._ec2.disable_image(ImageId=ami_id)

    def enable(self, ami_id: AmiId) -> None:
        if self.get(ami_id).state is AmiState.DISABLED:
            with translated(f"enabling AMI `{ami_id}`"):
                self._ec2.enable_image(ImageId=ami_id)

    def grants(self, ami_id: AmiId) -> frozenset[Grant]:
        with translated(f"reading who may start AMI `{ami_id}`"):
            answer = self._ec2.describe_image_attribute(ImageId=ami_id, Attribute="launchPermission")
        return frozenset(
            Grant(**{_GRANTS[key]: value for key, value in given.items()}) for given in answer["LaunchPermissions"]
        )

    def change_grants(self, ami_id: AmiId, *, add: Collection[Grant] = (), remove: Collection[Grant] = ()) -> None:
        changes = {"Add": [_permission(grant) for grant in add], "Remove": [_permission(grant) for grant in remove]}
        accounts = {"Add": [grant.account for grant in add], "Remove": [grant.account for grant in remove]}
        with translated(f"changing who may start AMI `{ami_id}`"):
            self._ec2.modify_image_attribute(
                ImageId=ami_id, LaunchPermission={key: value for key, value in changes.items() if value}
            )
            # An AMI's permission lets others start it; to copy it they need its snapshots, which know accounts only.
            volumes = {key: [{"UserId": one} for one in value if one] for key, value in accounts.items()}
            for snapshot in self.get(ami_id).snapshot_ids if any(volumes.values()) else ():
                self._ec2.modify_snapshot_attribute(
                    SnapshotId=snapshot,
                    Attribute="createVolumePermission",
                    CreateVolumePermission={key: value for key, value in volumes.items() if value},
                )

    def copy_from(self, region: str, ami: AmiRecord, *, tags: dict[str, str]) -> AmiId:
        pairs = [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
        with translated(f"copying AMI `{ami.id}` from {region}"):
            try:
                answer = self._ec2.copy_image(
                    SourceImageId=ami.id,
                    SourceRegion=region,
                    Name=ami.name,
                    # Should the answer be lost, the repeated call gets the same copy.
                    ClientToken=uuid.uuid4().hex,
                    TagSpecifications=[{"ResourceType": kind, "Tags": pairs} for kind in ("image", "snapshot")],
                )
            except ClientError as error:
                if error_code(error) == "InvalidAMIName.Duplicate":
                    raise AmiNameTaken(
                        "ami-name-taken",
                        f"Another AMI has the name `{ami.name}` already",
                        hint="Look at it with `capctl ami ls` in that region",
                    ) from error
                raise
        return AmiId(answer["ImageId"])

    def deregister(self, ami_id: AmiId) -> None:
        deregister(self._ec2, ami_id, self.get(ami_id).snapshot_ids)

    def _find(self, ami_id: AmiId) -> AmiRecord | None:
        with translated(f"reading AMI `{ami_id}`"):
            try:
                images = self._ec2.describe_images(ImageIds=[ami_id], IncludeDisabled=True)["Images"]
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return ami_record(images[0]) if images else None


def ami_record(image: dict[str, Any]) -> AmiRecord:
    """An AMI as EC2 describes it, in our words."""
    sizes_gib = (mapping.get("Ebs", {}).get("VolumeSize", 0) for mapping in image.get("BlockDeviceMappings", []))
    return AmiRecord(
        id=AmiId(image["ImageId"]),
        name=image.get("Name", ""),
        state=AmiState(image["State"]),
        state_reason=(image.get("StateReason") or {}).get("Message", ""),
        created=image.get("CreationDate", ""),
        architecture=image.get("Architecture", ""),
        snapshot_ids=snapshots_of(image),
        size_gib=sum(sizes_gib),
        tags={tag["Key"]: tag["Value"] for tag in image.get("Tags", [])},
        root_device=image.get("RootDeviceName", ""),
        imds_v2=image.get("ImdsSupport") == "v2.0",
        is_protected=image.get("DeregistrationProtection", "disabled") != "disabled",
        deprecated_at=image.get("DeprecationTime", ""),
        last_launched=image.get("LastLaunchedTime", ""),
    )


def _snapshot(snapshot: dict[str, Any]) -> SnapshotRecord:
    return SnapshotRecord(
        id=snapshot["SnapshotId"],
        state=snapshot["State"],
        size_gib=snapshot["VolumeSize"],
        full_bytes=snapshot.get("FullSnapshotSizeInBytes"),
        encrypted=snapshot.get("Encrypted", False),
        tags={tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", [])},
    )


def _permission(grant: Grant) -> dict[str, str]:
    return {key: value for key, field in _GRANTS.items() if (value := getattr(grant, field))}
