"""What a bake that did not end well leaves in EC2, and its removal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from lifecycle.adapters.aws.errors import translated
from lifecycle.domain.ami import Tag

# Whole lines: Packer names the AMI of another bake in the middle of a sentence.
_AMI = re.compile(r"^AMI: (ami-[0-9a-z]+)$", re.MULTILINE)
_INSTANCE = re.compile(r"^Instance ID: (i-[0-9a-f]+)$", re.MULTILINE)
_TEMPORARY = re.compile(r"\bpacker_[0-9a-f-]{36}\b")
_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


class BakeTraces:
    """The ids that a bake names in its output: what may have to be removed, also before it is tagged."""

    def __init__(self) -> None:
        self.amis: set[str] = set()
        self.instances: set[str] = set()
        self.temporary: set[str] = set()

    def look(self, text: str) -> None:
        """Note the ids in a line of output."""
        self.amis.update(_AMI.findall(text))
        self.instances.update(_INSTANCE.findall(text))
        self.temporary.update(_TEMPORARY.findall(text))


def remove_leftovers(ec2: Any, traces: BakeTraces, run_id: str) -> tuple[str, ...]:
    """Remove instances, volumes, AMIs with their snapshots, key pairs and security groups of one run.

    Packer removes them itself when it can; this is for when it could not. Returns what was removed. Raises `CapctlError`.
    """
    removed: list[str] = []
    with translated(f"removing what bake run `{run_id}` left"):
        removed += _remove_instances(ec2, traces, run_id)
        removed += _remove_amis(ec2, traces.amis, run_id)
        by_run = [{"Name": f"tag:{Tag.RUN}", "Values": [run_id]}, {"Name": "status", "Values": ["available"]}]
        for volume in ec2.describe_volumes(Filters=by_run)["Volumes"]:
            ec2.delete_volume(VolumeId=volume["VolumeId"])
            removed.append(volume["VolumeId"])
        removed += _remove_temporary(ec2, traces.temporary)
    return tuple(removed)


def _remove_instances(ec2: Any, traces: BakeTraces, run_id: str) -> list[str]:
    alive = {"Name": "instance-state-name", "Values": _ALIVE}
    filters = [[{"Name": f"tag:{Tag.RUN}", "Values": [run_id]}, alive]]
    if traces.instances:
        filters.append([{"Name": "instance-id", "Values": sorted(traces.instances)}, alive])
    found = {
        instance["InstanceId"]: instance
        for each in filters
        for reservation in ec2.describe_instances(Filters=each)["Reservations"]
        for instance in reservation["Instances"]
    }
    if not found:
        return []
    for instance in found.values():
        traces.temporary.update(_temporary_names(instance))
    ec2.terminate_instances(InstanceIds=sorted(found))
    with suppress(WaiterError):  # the security group that is still in use is reported by its own deletion
        ec2.get_waiter("instance_terminated").wait(InstanceIds=sorted(found))
    return sorted(found)


def _temporary_names(instance: dict[str, Any]) -> Iterable[str]:
    names = [instance.get("KeyName", ""), *(group.get("GroupName", "") for group in instance.get("SecurityGroups", []))]
    return [name for name in names if _TEMPORARY.fullmatch(name)]


def _remove_amis(ec2: Any, ami_ids: set[str], run_id: str) -> list[str]:
    removed = []
    for ami_id in sorted(ami_ids):
        filters = [{"Name": "image-id", "Values": [ami_id]}]
        for image in ec2.describe_images(Owners=["self"], Filters=filters)["Images"]:
            tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
            if tags.get(Tag.RUN, run_id) != run_id:
                continue
            ec2.deregister_image(ImageId=ami_id)
            removed.append(ami_id)
            for mapping in image.get("BlockDeviceMappings", []):
                if snapshot_id := mapping.get("Ebs", {}).get("SnapshotId"):
                    ec2.delete_snapshot(SnapshotId=snapshot_id)
                    removed.append(snapshot_id)
    return removed


def _remove_temporary(ec2: Any, names: set[str]) -> list[str]:
    if not names:
        return []
    removed = []
    wanted = {"Values": sorted(names)}
    for pair in ec2.describe_key_pairs(Filters=[{"Name": "key-name", **wanted}])["KeyPairs"]:
        ec2.delete_key_pair(KeyName=pair["KeyName"])
        removed.append(pair["KeyName"])
    for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", **wanted}])["SecurityGroups"]:
        with suppress(ClientError):  # in use by an instance that is still shutting down
            ec2.delete_security_group(GroupId=group["GroupId"])
            removed.append(group["GroupId"])
    return removed
