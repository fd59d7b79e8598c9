"""AMIs through EC2, and the parameters that name base AMIs through SSM."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.deregister import delete_snapshot, deregister
from lifecycle.adapters.aws.descriptions import ami_record, made_for, snapshot_record
from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.adapters.aws.filters import batches
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.strays import stray_snapshots
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord, parse_ami_id
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, UsageError
from lifecycle.ports.baker import AmiNameTaken

_PAGE = 1000  # the most that EC2 gives in one answer
# The fields of a launch permission, as EC2 and as `Grant` name them.
_GRANTS = {"UserId": "account", "OrganizationArn": "organization", "OrganizationalUnitArn": "unit", "Group": "group"}
# An AMI, or a snapshot, that is encrypted with the account's default key.
_DEFAULT_KEY = "alias/aws/ebs"
_NOT_SHAREABLE = {"InvalidParameter", "OperationNotPermitted"}


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
            raise _missing(ami_id)
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
                Owners=["self"], IncludeDisabled=True, Filters=filters, PaginationConfig={"PageSize": _PAGE}
            )
            found = [ami_record(image) for page in pages for image in page["Images"]]
        return tuple(sorted(found, key=lambda ami: (ami.created, ami.id), reverse=True))

    def snapshots(self, ids: Collection[str]) -> tuple[SnapshotRecord, ...]:
        found: list[SnapshotRecord] = []
        with translated("reading snapshots"):
            for wanted in batches(ids):
                pages = self._ec2.get_paginator("describe_snapshots").paginate(
                    OwnerIds=["self"],
                    Filters=[{"Name": "snapshot-id", "Values": wanted}],
                    PaginationConfig={"PageSize": _PAGE},
                )
                found += [snapshot_record(snapshot) for page in pages for snapshot in page["Snapshots"]]
        return tuple(found)

    def snapshots_of(self, project: str) -> tuple[SnapshotRecord, ...]:
        with translated(f"listing the snapshots of `{project}`"):
            pages = self._ec2.get_paginator("describe_snapshots").paginate(
                OwnerIds=["self"],
                Filters=[{"Name": f"tag:{Tag.PROJECT}", "Values": [project]}],
                PaginationConfig={"PageSize": _PAGE},
            )
            return tuple(snapshot_record(snapshot) for page in pages for snapshot in page["Snapshots"])

    def stray_snapshots(self) -> tuple[SnapshotRecord, ...]:
        with translated("looking for snapshots of AMIs that are gone"):
            return tuple(map(snapshot_record, stray_snapshots(self._ec2)))

    def tag_snapshot(self, snapshot_id: str, tags: dict[str, str]) -> None:
        with translated(f"tagging snapshot `{snapshot_id}`"):
            self._ec2.create_tags(Resources=[snapshot_id], Tags=_pairs(tags))

    def delete_snapshot(self, snapshot_id: str) -> bool:
        return delete_snapshot(self._ec2, snapshot_id)

    def source_instance(self, ami: AmiRecord) -> str:
        if ami.source_instance or not ami.snapshot_ids:
            return ami.source_instance
        # AMIs from before EC2 told it carry it in the description of their snapshots; those of others are out of sight.
        wanted = [{"Name": "snapshot-id", "Values": list(ami.snapshot_ids)}]
        with translated(f"reading where AMI `{ami.id}` comes from"):
            snapshots = self._ec2.describe_snapshots(Filters=wanted)["Snapshots"]
        made = [made_for(snapshot.get("Description", "")) for snapshot in snapshots]
        return next((one.instance_id for one in made if one and one.instance_id), "")

    def holders(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[AmiId]]:
        wanted = sorted(set(snapshot_ids))
        found: dict[str, set[AmiId]] = {snapshot: set() for snapshot in wanted}
        with translated("reading which AMIs have snapshots"):
            for values in batches(wanted):
                pages = self._ec2.get_paginator("describe_images").paginate(
                    Owners=["self"],
                    IncludeDisabled=True,
                    Filters=[{"Name": "block-device-mapping.snapshot-id", "Values": values}],
                    PaginationConfig={"PageSize": _PAGE},
                )
                for ami in (ami_record(image) for page in pages for image in page["Images"]):
                    for snapshot in found.keys() & ami.snapshot_ids if ami.state is not AmiState.DEREGISTERED else ():
                        found[snapshot].add(ami.id)
        return {snapshot: frozenset(amis) for snapshot, amis in found.items()}

    def tag(self, ami_id: AmiId, tags: dict[str, str]) -> None:
        resources = [ami_id, *self._sole_snapshots(ami_id)]
        with translated(f"tagging AMI `{ami_id}`"):
            self._ec2.create_tags(Resources=resources, Tags=_pairs(tags))

    def untag(self, ami_id: AmiId, keys: Collection[str]) -> None:
        resources = [ami_id, *self._sole_snapshots(ami_id)]
        with translated(f"taking tags off AMI `{ami_id}`"):
            self._ec2.delete_tags(Resources=resources, Tags=[{"Key": key} for key in sorted(keys)])

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
        # EC2 takes the AMI's own grants away; whoever has one on a snapshot could still make an AMI of it.
        for snapshot, grants in self.snapshot_grants(self._sole_snapshots(ami_id)).items():
            if grants:
                self._change_snapshot(snapshot, add=(), remove=grants)

    def enable(self, ami_id: AmiId) -> None:
        if self.get(ami_id).state is AmiState.DISABLED:
            with translated(f"enabling AMI `{ami_id}`"):
                self._ec2.enable_image(ImageId=ami_id)

    def grants(self, ami_id: AmiId) -> frozenset[Grant]:
        with translated(f"reading who may start AMI `{ami_id}`"):
            try:
                answer = self._ec2.describe_image_attribute(ImageId=ami_id, Attribute="launchPermission")
            except ClientError as error:
                if is_missing(error):
                    raise _missing(ami_id) from error
                raise
        return _grants(answer["LaunchPermissions"])

    def require_shareable(self, ami_id: AmiId) -> None:
        with translated(f"reading which keys AMI `{ami_id}` is encrypted with"):
            wanted = [{"Name": "snapshot-id", "Values": list(self.get(ami_id).snapshot_ids)}]
            snapshots = self._ec2.describe_snapshots(OwnerIds=["self"], Filters=wanted)["Snapshots"]
        keys = {snapshot["KmsKeyId"] for snapshot in snapshots if snapshot.get("KmsKeyId")}
        if keys and self._default_key() in keys:
            raise _not_shareable(ami_id)

    def _default_key(self) -> str:
        """The ARN of the account's default EBS key, which AWS makes with the first question; "" where the caller may not ask."""
        try:
            with translated("reading the default EBS key"):
                answer = self._session.client("kms", self._region).describe_key(KeyId=_DEFAULT_KEY)
        except Denied:
            return ""
        return str(answer["KeyMetadata"]["Arn"])

    def change_grants(self, ami_id: AmiId, *, add: Collection[Grant] = (), remove: Collection[Grant] = ()) -> None:
        with _default_key_told(ami_id), translated(f"changing who may start AMI `{ami_id}`"):
            self._ec2.modify_image_attribute(ImageId=ami_id, LaunchPermission=_changes(add, remove))
        # An AMI's permission lets others start it; to copy it they need its snapshots, which know accounts only.
        accounts = [[grant for grant in grants if grant.account] for grants in (add, remove)]
        for snapshot in self.get(ami_id).snapshot_ids if any(accounts) else ():
            self._change_snapshot(snapshot, add=accounts[0], remove=accounts[1])

    def snapshot_grants(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[Grant]]:
        found = {}
        for snapshot in snapshot_ids:
            with translated(f"reading who may copy snapshot `{snapshot}`"):
                answer = self._ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
            found[snapshot] = _grants(answer["CreateVolumePermissions"])
        return found

    def copy_from(self, region: str, ami: AmiRecord, *, tags: dict[str, str]) -> AmiId:
        with translated(f"copying AMI `{ami.id}` from {region}"):
            try:
                answer = self._ec2.copy_image(
                    SourceImageId=ami.id,
                    SourceRegion=region,
                    Name=ami.name,
                    # Should the answer be lost, the repeated call gets the same copy.
                    ClientToken=uuid.uuid4().hex,
                    TagSpecifications=[{"ResourceType": kind, "Tags": _pairs(tags)} for kind in ("image", "snapshot")],
                )
            except ClientError as error:
                if error_code(error) == "InvalidAMIName.Duplicate":
                    raise AmiNameTaken(
                        "ami-name-taken",
                        f"Another AMI has the name `{ami.name}` already",
                        hint="Look at it in EC2's console in that region",
                    ) from error
                raise
        return AmiId(answer["ImageId"])

    def deregister(self, ami_id: AmiId) -> tuple[str, ...]:
        return deregister(self._ec2, ami_id, self.get(ami_id).snapshot_ids)

    def _sole_snapshots(self, ami_id: AmiId) -> tuple[str, ...]:
        ami = self.get(ami_id)
        return ami.sole_snapshots(self.holders(ami.snapshot_ids))

    def _change_snapshot(self, snapshot_id: str, *, add: Collection[Grant], remove: Collection[Grant]) -> None:
        with _default_key_told(snapshot_id), translated(f"changing who may copy snapshot `{snapshot_id}`"):
            self._ec2.modify_snapshot_attribute(
                SnapshotId=snapshot_id,
                Attribute="createVolumePermission",
                CreateVolumePermission=_changes(add, remove),
            )

    def _find(self, ami_id: AmiId) -> AmiRecord | None:
        with translated(f"reading AMI `{ami_id}`"):
            try:
                images = self._ec2.describe_images(ImageIds=[ami_id], IncludeDisabled=True)["Images"]
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return ami_record(images[0]) if images else None


def _missing(ami_id: AmiId) -> CapctlError:
    return CapctlError("ami-missing", f"There is no AMI `{ami_id}`", hint="Run `capctl ami ls` to see those that exist")


def _grants(permissions: Iterable[dict[str, str]]) -> frozenset[Grant]:
    return frozenset(Grant(**{_GRANTS[key]: value for key, value in given.items()}) for given in permissions)


def _changes(add: Iterable[Grant], remove: Iterable[Grant]) -> dict[str, list[dict[str, str]]]:
    changes = {"Add": [_permission(grant) for grant in add], "Remove": [_permission(grant) for grant in remove]}
    return {key: value for key, value in changes.items() if value}


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def _permission(grant: Grant) -> dict[str, str]:
    return {key: value for key, field in _GRANTS.items() if (value := getattr(grant, field))}


@contextmanager
def _default_key_told(resource: str) -> Iterator[None]:
    """Tell why AWS shares nothing that is encrypted with an account's default key: its words differ, `encrypted` is in all of them."""
    try:
        yield
    except CapctlError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and error_code(cause) in _NOT_SHAREABLE and "encrypted" in str(cause).lower():
            raise _not_shareable(resource) from cause
        raise


def _not_shareable(resource: str) -> CapctlError:
    return CapctlError(
        "ami-not-shareable",
        f"`{resource}` is encrypted with the account's default EBS key, which AWS shares with nobody",
        hint="Set `ami.kms_key_id` to a key of your own, run `capctl ami bake --force`, and share that AMI",
    )
