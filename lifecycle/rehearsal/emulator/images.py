"""EC2 images: CreateImage with every volume, contents that follow the AMI, deprecation, protection and snapshot deletion."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id

from lifecycle.rehearsal.emulator.pages import paged
from lifecycle.rehearsal.emulator.stage import Stage

BASE_VOLUME_GIB = 30  # the root volume of the ECS-optimized AMIs
_UNPROTECTED = "disabled"


class RehearsalAmi(Ami):  # type: ignore[misc]
    """An AMI with the block devices it was made from. moto describes one 15 GB `standard` volume for every image."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.mappings: list[dict[str, Any]] | None = None
        self.deprecation_time: str | None = None
        self.deregistration_protection = _UNPROTECTED
        self.imds_support: str | None = None
        self.source_image_id: str | None = None
        self.source_image_region: str | None = None
        self.root_device_type = "ebs"
        self.ena_support = True
        if self.owner_alias == "amazon":
            self.ebs_snapshot.volume.size = BASE_VOLUME_GIB

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        if self.mappings is not None:
            return self.mappings
        volume = self.ebs_snapshot.volume
        return [_mapping(self.root_device_name, self.ebs_snapshot, volume, size_gib=volume.size, volume_type="gp3")]

    @property
    def snapshot_ids(self) -> list[str]:
        return [mapping["Ebs"]["SnapshotId"] for mapping in self.block_device_mappings if "Ebs" in mapping]

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "creation-date":
            return self.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if filter_name == "block-device-mapping.snapshot-id":
            return self.snapshot_ids
        return super().get_filter_value(filter_name, method_name)


class ImageMends(AmiBackend):  # type: ignore[misc]
    """The image calls of the EC2 backend."""

    stage: ClassVar[Stage]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.copies_by_token: dict[str, str] = {}
        # Held until an AMI has its name: of two requests at once for one name EC2 refuses one.
        self._naming = threading.RLock()

    def create_image_from_instance(
        self,
        instance_id: str,
        name: str,
        description: str,
        tags: dict[str, dict[str, str]],
        overrides: Iterable[dict[str, Any]],
        *,
        reboot: bool,
    ) -> RehearsalAmi:
        """`tags` by resource type (`image`, `snapshot`); `overrides` are BlockDeviceMappings as EC2 takes them."""
        with self._naming:
            self._require_free_name(name)
            instance = self.get_instance(instance_id)
            self.stage.machines.capture(
                instance_id, self.stage.layers.add(ami_id := random_ami_id(), instance.image_id), reboot=reboot
            )
            ami = RehearsalAmi(self, ami_id, instance=instance, name=name, description=description)
            ami.source_image_id, ami.source_image_region = instance.image_id, self.region_name
            source = self.amis.get(instance.image_id)
            ami.root_device_name = source.root_device_name if source else instance.root_device_name
            self.snapshots.pop(ami.ebs_snapshot.id)
            ami.mappings = self._snapshot_volumes(ami, instance, {item["DeviceName"]: item for item in overrides}, tags)
            ami.add_tags(tags.get("image", {}))
            self.amis[ami_id] = ami
        return ami

    def _snapshot_volumes(
        self, ami: RehearsalAmi, instance: Any, overrides: dict[str, dict[str, Any]], tags: dict[str, dict[str, str]]
    ) -> list[dict[str, Any]]:
        mappings = []
        for device, attached in instance.get_block_device_mapping:
            override = overrides.pop(device, {})
            if "NoDevice" in override:
                continue
            changed = override.get("Ebs") or {}
            volume = self.get_volume(attached.volume_id)
            description = f"Created by CreateImage({instance.id}) for {ami.id}"
            snapshot = self.create_snapshot(volume.id, description, from_ami=ami.id)
            snapshot.add_tags(tags.get("snapshot", {}))
            if device == ami.root_device_name:
                ami.ebs_snapshot = snapshot
            mapping = _mapping(
                device,
                snapshot,
                volume,
                size_gib=int(changed.get("VolumeSize") or volume.size),
                volume_type=changed.get("VolumeType") or volume.volume_type or "gp2",
            )
            mapping["Ebs"]["DeleteOnTermination"] = changed.get("DeleteOnTermination", attached.delete_on_termination)
            mappings.append(mapping)
        added = [item for item in overrides.values() if "NoDevice" not in item]
        return mappings + added

    def copy_image(
        self, source_image_id: str, source_region: str, name: str | None = None, description: str | None = None
    ) -> RehearsalAmi:
        with self._naming:
            self._require_free_name(name)
            ami: RehearsalAmi = super().copy_image(source_image_id, source_region, name, description)
        source = type(self).in_region(self.account_id, source_region).describe_images(ami_ids=[source_image_id])[0]
        ami.source_image_id, ami.source_image_region = source_image_id, source_region
        ami.root_device_name = source.root_device_name
        ami.imds_support = source.imds_support
        self.snapshots.pop(ami.ebs_snapshot.id)
        ami.mappings = []
        for mapping in source.block_device_mappings:
            copied = {**mapping, "Ebs": dict(mapping.get("Ebs", {}))}
            if "SnapshotId" in copied["Ebs"]:
                volume = self.create_volume(
                    size=copied["Ebs"]["VolumeSize"],
                    zone_name=f"{self.region_name}a",
                    encrypted=copied["Ebs"].get("Encrypted", False),
                )
                text = f"Copied for DestinationAmi {ami.id} from SourceAmi {source_image_id}"
                snapshot = self.create_snapshot(volume.id, text, from_ami=ami.id)
                self.delete_volume(volume.id)
                copied["Ebs"]["SnapshotId"] = snapshot.id
                if copied["DeviceName"] == ami.root_device_name:
                    ami.ebs_snapshot = snapshot
            ami.mappings.append(copied)
        self.stage.layers.add(ami.id, source_image_id)
        return ami

    def deregister_image(self, ami_id: str) -> None:
        ami = self.amis.get(ami_id)
        if ami is not None and ami.deregistration_protection != _UNPROTECTED:
            code, message = "OperationNotPermitted", f"The image '{ami_id}' is protected from deregistration."
            raise EC2ClientError(code, message)
        super().deregister_image(ami_id)
        self.stage.layers.forget(ami_id, self.stage.layers_in_use())

    def delete_snapshots_of(self, ami: RehearsalAmi) -> list[dict[str, str]]:
        """One result per snapshot, as DeregisterImage reports them."""
        results = []
        for snapshot_id in ami.snapshot_ids:
            shared = any(other is not ami and snapshot_id in other.snapshot_ids for other in self.amis.values())
            if not shared:
                self.snapshots.pop(snapshot_id, None)
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped" if shared else "success"})
        return results

    def disable_image(self, ami_id: str) -> None:
        super().disable_image(ami_id)
        self.amis[ami_id].launch_permissions.clear()

    def require_launchable(self, ami_id: str) -> None:
        """Raises EC2's errors for an image that is gone or disabled; moto starts instances from either."""
        ami = self.amis.get(ami_id)
        if ami is None and ami_id in self.deleted_amis:
            code, message = "InvalidAMIID.Unavailable", f"The image ID '[{ami_id}]' is no longer available"
            raise EC2ClientError(code, message)
        if ami is None:
            code, message = "InvalidAMIID.NotFound", f"The image id '[{ami_id}]' does not exist"
            raise EC2ClientError(code, message)
        if ami.state != "available":
            code, message = "InvalidAMIID.Unavailable", f"The image '{ami_id}' is {ami.state}"
            raise EC2ClientError(code, message)

    def _require_free_name(self, name: str | None) -> None:
        for ami in self.amis.values():
            if ami.name == name and ami.owner_id == self.account_id:
                code, message = "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {ami.id}"
                raise EC2ClientError(code, message)


class ImageActions(AmisResponse):  # type: ignore[misc]
    """The image calls as they come over the wire."""

    def create_image(self) -> ActionResult:
        self.error_on_dryrun()
        ami = self.ec2_backend.create_image_from_instance(
            self._get_param("InstanceId"),
            self._get_param("Name"),
            self._get_param("Description", ""),
            _tags_by_type(self._get_param("TagSpecifications", [])),
            self._get_param("BlockDeviceMappings", []) or [],
            reboot=not self._get_param("NoReboot", False),
        )
        return ActionResult({"ImageId": ami.id})

    def copy_image(self) -> ActionResult:
        self.error_on_dryrun()
        source, region = self._get_param("SourceImageId"), self._get_param("SourceRegion")
        # A repeated call with the token of an earlier one gets that one's answer, as on AWS.
        token = self._get_param("ClientToken")
        if (made := self.ec2_backend.copies_by_token.get(token)) and made in self.ec2_backend.amis:
            return ActionResult({"ImageId": made})
        ami = self.ec2_backend.copy_image(source, region, self._get_param("Name"), self._get_param("Description"))
        tags = _tags_by_type(self._get_param("TagSpecifications", []))
        if self._get_param("CopyImageTags", False):
            origin = type(self.ec2_backend).in_region(self.current_account, region).amis[source]
            tags["image"] = {tag["key"]: tag["value"] for tag in origin.get_tags()} | tags.get("image", {})
        if token:
            self.ec2_backend.copies_by_token[token] = ami.id
        ami.add_tags(tags.get("image", {}))
        for mapping in ami.block_device_mappings:
            if self._get_param("Encrypted", False) and "Ebs" in mapping:
                mapping["Ebs"]["Encrypted"] = True
                self.ec2_backend.encrypt_by_default_key(mapping["Ebs"]["SnapshotId"])
        for snapshot_id in ami.snapshot_ids:
            self.ec2_backend.snapshots[snapshot_id].add_tags(tags.get("snapshot", {}))
        return ActionResult({"ImageId": ami.id})

    def register_image(self) -> ActionResult:
        answer = super().register_image()
        given = [
            item["Ebs"]["SnapshotId"] for item in self._get_param("BlockDeviceMappings", []) or [] if "Ebs" in item
        ]
        if given:
            ami, of = self.ec2_backend.amis[answer.result["ImageId"]], self.ec2_backend.snapshots
            disks = ((of[one], of[one].volume) for one in given)
            ami.mappings = [
                _mapping(ami.root_device_name, snapshot, volume, size_gib=volume.size, volume_type="gp3")
                for snapshot, volume in disks
            ]
        return answer

    def deregister_image(self) -> ActionResult:
        self.error_on_dryrun()
        ami_id = self._get_param("ImageId")
        ami = self.ec2_backend.amis.get(ami_id)
        self.ec2_backend.deregister_image(ami_id)
        result: dict[str, Any] = {"Return": True}
        if self._get_param("DeleteAssociatedSnapshots", False):
            result["DeleteSnapshotResults"] = self.ec2_backend.delete_snapshots_of(ami)
        return ActionResult(result)

    def describe_images(self) -> ActionResult:
        result: dict[str, Any] = super().describe_images().result
        if not self._get_param("IncludeDisabled", False) and not self._get_param("ImageIds", []):
            result["Images"] = [ami for ami in result["Images"] if ami.state != "disabled"]
        return paged(self, result, "Images")

    def modify_image_attribute(self) -> EmptyResult:
        answer = super().modify_image_attribute()
        (ami,) = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])
        named = {self._get_param("Attribute"): self._get_param("Value")}
        description = (self._get_param("Description") or {}).get("Value", named.get("description"))
        imds_support = (self._get_param("ImdsSupport") or {}).get("Value", named.get("imdsSupport"))
        if description is not None:
            ami.description = description
        if imds_support is not None:
            ami.imds_support = imds_support
        return answer

    def reset_image_attribute(self) -> EmptyResult:
        self.error_on_dryrun()
        self._own_image().launch_permissions.clear()
        return EmptyResult()

    def enable_image_deprecation(self) -> ActionResult:
        self.error_on_dryrun()
        self._own_image().deprecation_time = _to_the_minute(self._get_param("DeprecateAt"))
        return ActionResult({"Return": True})

    def disable_image_deprecation(self) -> ActionResult:
        self.error_on_dryrun()
        self._own_image().deprecation_time = None
        return ActionResult({"Return": True})

    def enable_image_deregistration_protection(self) -> ActionResult:
        self.error_on_dryrun()
        state = "enabled-with-cooldown" if self._get_param("WithCooldown", False) else "enabled-without-cooldown"
        self._own_image().deregistration_protection = state
        return ActionResult({"Return": state})

    def disable_image_deregistration_protection(self) -> ActionResult:
        self.error_on_dryrun()
        ami = self._own_image()
        # AWS keeps a cooldown of 24 hours running; a rehearsal does not wait for it.
        ami.deregistration_protection = _UNPROTECTED
        return ActionResult({"Return": _UNPROTECTED})

    def _own_image(self) -> RehearsalAmi:
        ami: RehearsalAmi = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])[0]
        return ami


def _mapping(device: str, snapshot: Any, volume: Any, *, size_gib: int, volume_type: str) -> dict[str, Any]:
    ebs: dict[str, Any] = {
        "SnapshotId": snapshot.id,
        "VolumeSize": size_gib,
        "VolumeType": volume_type,
        "Encrypted": bool(volume.encrypted),
        "DeleteOnTermination": True,
    }
    if volume_type == volume.volume_type and volume.iops:
        ebs["Iops"] = volume.iops
    if volume_type == volume.volume_type and volume.throughput:
        ebs["Throughput"] = volume.throughput
    return {"DeviceName": device, "Ebs": ebs}


def _tags_by_type(specifications: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {
        item["ResourceType"]: {tag["Key"]: tag.get("Value", "") for tag in item.get("Tags", [])}
        for item in specifications
    }


def _to_the_minute(moment: str | datetime) -> str:
    """EC2 rounds a deprecation date to the nearest minute."""
    parsed = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    in_utc = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    rounded = (in_utc + timedelta(seconds=30)).replace(second=0, microsecond=0)
    return rounded.strftime("%Y-%m-%dT%H:%M:%S.000Z")
