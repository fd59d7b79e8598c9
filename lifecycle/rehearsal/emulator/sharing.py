"""EC2 grants: who else may start an image or copy a snapshot, and what encryption by the default key forbids."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response


class SharingMends(EC2Backend):  # type: ignore[misc]
    """What the EC2 backend knows of grants."""

    def require_shareable_image(self, ami_id: str) -> None:
        """Raises EC2's error for an image that is encrypted with the account's default key."""
        (ami,) = self.describe_images(ami_ids=[ami_id])
        if any(self._has_default_key(snapshot_id) for snapshot_id in ami.snapshot_ids):
            message = "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot."
            raise EC2ClientError("InvalidParameter", message)

    def require_shareable_snapshot(self, snapshot_id: str) -> None:
        """Raises EC2's error for a snapshot that is encrypted with the account's default key."""
        if self._has_default_key(snapshot_id):
            message = "Encrypted snapshots with EBS default key cannot be shared"
            raise EC2ClientError("OperationNotPermitted", message)

    def encrypt_by_default_key(self, snapshot_id: str) -> None:
        """What a copy that is to be encrypted does to a snapshot that was not."""
        snapshot = self.get_snapshot(snapshot_id)
        if not snapshot.encrypted:
            snapshot.encrypted = True
            snapshot.volume.kms_key_id = self.default_kms_key_id or self._create_default_encryption_key()

    def describe_snapshots(self, *arguments: Any, **options: Any) -> list[Any]:
        """With the key of each encrypted one, which moto knows of its volume only."""
        found: list[Any] = super().describe_snapshots(*arguments, **options)
        for snapshot in found:
            snapshot.kms_key_id = snapshot.volume.kms_key_id if snapshot.encrypted else None
        return found

    def _has_default_key(self, snapshot_id: str) -> bool:
        snapshot = self.get_snapshot(snapshot_id)
        return bool(snapshot.encrypted and snapshot.volume.kms_key_id == self.default_kms_key_id)


class SharingActions(EC2Response):  # type: ignore[misc]
    """The calls about grants as they come over the wire."""

    def describe_image_attribute(self) -> ActionResult:
        # moto looks an image that is gone up without saying so, and tells of those of others.
        (ami,) = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])
        if ami.owner_id != self.current_account:
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{ami.id}")
        return super().describe_image_attribute()

    def modify_image_attribute(self) -> EmptyResult:
        if (self._get_param("LaunchPermission", {}) or {}).get("Add"):
            self.ec2_backend.require_shareable_image(self._get_param("ImageId"))
        return super().modify_image_attribute()

    def modify_snapshot_attribute(self) -> EmptyResult:
        """With CreateVolumePermission, which moto ignores."""
        super().modify_snapshot_attribute()
        snapshot_id = self._get_param("SnapshotId")
        changes = self._get_param("CreateVolumePermission", {}) or {}
        if changes.get("Add"):
            self.ec2_backend.require_shareable_snapshot(snapshot_id)
        for kind, change in (
            ("Add", self.ec2_backend.add_create_volume_permission),
            ("Remove", self.ec2_backend.remove_create_volume_permission),
        ):
            asked: list[dict[str, Any]] = changes.get(kind) or []
            users = [one["UserId"] for one in asked if "UserId" in one]
            change(snapshot_id, user_ids=users, groups=[one["Group"] for one in asked if "Group" in one])
        return EmptyResult()
