"""The removal of an AMI with its snapshots."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import error_code, is_missing, translated
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied

_DELETED, _OF_ANOTHER_AMI = "success", "skipped"


def deregister(ec2: Any, ami_id: str, snapshot_ids: Sequence[str]) -> tuple[str, ...]:
    """Deregister an AMI and delete its snapshots; what is gone already is no failure.

    Returns the snapshots that stay because another AMI has them. Raises `CapctlError` when the AMI could not be deregistered,
    `PartlyApplied("snapshot-left")` when a snapshot could not be deleted, after every other one was tried.
    """
    told = _deregister(ec2, ami_id)
    # That the call succeeded says nothing of the snapshots: each has a result of its own, and none has one once the AMI was gone.
    stays = [one for one in snapshot_ids if told.get(one) == _OF_ANOTHER_AMI]
    left = {}
    for snapshot in (one for one in snapshot_ids if told.get(one) not in {_DELETED, _OF_ANOTHER_AMI}):
        try:
            if not delete_snapshot(ec2, snapshot):
                stays.append(snapshot)
        except Interrupted:
            raise
        except CapctlError as error:
            left[snapshot] = error.message
    if left:
        raise PartlyApplied(
            "snapshot-left",
            f"AMI `{ami_id}` is deregistered, but its snapshots {', '.join(f'`{name}`' for name in left)} are still there",
            hint="`capctl ami prune --apply` deletes those that carry the project's tag, others `aws ec2 delete-snapshot`",
            details=tuple(left.values()),
        )
    return tuple(stays)


def delete_snapshot(ec2: Any, snapshot_id: str) -> bool:
    """Delete a snapshot, or find it gone; False when an AMI has it, so that it stays."""
    with translated(f"deleting snapshot `{snapshot_id}`"):
        try:
            ec2.delete_snapshot(SnapshotId=snapshot_id)
        except ClientError as error:
            if error_code(error) == "InvalidSnapshot.InUse":
                return False
            if not is_missing(error):
                raise
    return True


def _deregister(ec2: Any, ami_id: str) -> dict[str, str]:
    """What became of each snapshot, by EC2's word for it; nothing when the AMI was gone: the answer to a first call may be lost."""
    with translated(f"deregistering AMI `{ami_id}`"):
        try:
            answer = ec2.deregister_image(ImageId=ami_id, DeleteAssociatedSnapshots=True)
        except ClientError as error:
            if not is_missing(error):
                raise
            return {}
    return {one["SnapshotId"]: one["ReturnCode"] for one in answer.get("DeleteSnapshotResults", ())}
