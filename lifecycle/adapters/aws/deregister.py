"""The removal of an AMI with its snapshots."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.errors import CapctlError, PartlyApplied


def snapshots_of(image: dict[str, Any]) -> tuple[str, ...]:
    """The snapshots below an AMI, as EC2 describes it."""
    disks = (mapping.get("Ebs", {}) for mapping in image.get("BlockDeviceMappings", []))
    return tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId"))


def deregister(ec2: Any, ami_id: str, snapshot_ids: Sequence[str]) -> None:
    """Deregister an AMI and delete its snapshots; what is gone already is no failure.

    Raises `CapctlError` when the AMI could not be deregistered, `PartlyApplied("snapshot-left")` when a snapshot could not be
    deleted, after every other one was tried.
    """
    with translated(f"deregistering AMI `{ami_id}`"):
        try:
            ec2.deregister_image(ImageId=ami_id)
        except ClientError as error:
            if not is_missing(error):  # it is gone where the answer to the first attempt was lost
                raise
    left = {snapshot: reason for snapshot in snapshot_ids if (reason := _delete_snapshot(ec2, snapshot))}
    if left:
        raise PartlyApplied(
            "snapshot-left",
            f"AMI `{ami_id}` is deregistered, but its snapshots {', '.join(f'`{name}`' for name in left)} are still there",
            hint="Delete them with `aws ec2 delete-snapshot`",
            details=tuple(left.values()),
        )


def _delete_snapshot(ec2: Any, snapshot_id: str) -> str:
    """Why it could not be deleted, or ""."""
    try:
        with translated(f"deleting snapshot `{snapshot_id}`"):
            try:
                ec2.delete_snapshot(SnapshotId=snapshot_id)
            except ClientError as error:
                if not is_missing(error):
                    raise
    except CapctlError as error:
        return error.message
    return ""
