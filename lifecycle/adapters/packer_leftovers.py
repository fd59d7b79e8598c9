"""What a bake that did not end well leaves in EC2, and its removal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import WaiterError

from lifecycle.adapters.aws.deregister import deregister, snapshots_of
from lifecycle.adapters.aws.errors import translated
from lifecycle.domain.ami import Tag
from lifecycle.errors import CapctlError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """`removed`: ids and names. `left`: a sentence for each thing that could not be removed."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def remove_leftovers(ec2: Any, traces: BakeTraces, run_id: str) -> Removal:
    """Remove instances, volumes, AMIs with their snapshots, key pairs and security groups of one run.

    Packer removes them itself when it can; this is for when it could not. Raises `CapctlError` when EC2 cannot be asked what is left.
    """
    removed: list[str] = []
    left: list[str] = []
    with translated(f"removing what bake run `{run_id}` left"):
        removed += _remove_instances(ec2, traces, run_id)
        _remove_amis(ec2, traces.amis, run_id, removed, left)
        by_run = [{"Name": f"tag:{Tag.RUN}", "Values": [run_id]}, {"Name": "status", "Values": ["available"]}]
        for volume in ec2.describe_volumes(Filters=by_run)["Volumes"]:
            ec2.delete_volume(VolumeId=volume["VolumeId"])
            removed.append(volume["VolumeId"])
        _remove_temporary(ec2, traces.temporary, removed, left)
    return Removal(removed=tuple(removed), left=tuple(left))


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


def _remove_amis(ec2: Any, ami_ids: set[str], run_id: str, removed: list[str], left: list[str]) -> None:
    filters = [{"Name": "image-id", "Values": sorted(ami_ids)}]
    images = ec2.describe_images(Owners=["self"], Filters=filters)["Images"] if ami_ids else []
    for image in images:
        tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])}
        if tags.get(Tag.RUN, run_id) != run_id:
            continue
        with _told(left):
            kept = deregister(ec2, image["ImageId"], snapshots_of(image))
            removed += [image["ImageId"], *(one for one in snapshots_of(image) if one not in kept)]


def _remove_temporary(ec2: Any, names: set[str], removed: list[str], left: list[str]) -> None:
    if not names:
        return
    wanted = {"Values": sorted(names)}
    for pair in ec2.describe_key_pairs(Filters=[{"Name": "key-name", **wanted}])["KeyPairs"]:
        ec2.delete_key_pair(KeyName=pair["KeyName"])
        removed.append(pair["KeyName"])
    for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", **wanted}])["SecurityGroups"]:
        # It may be in use by an instance that is still shutting down.
        with _told(left), translated(f"deleting security group `{group['GroupName']}`"):
            ec2.delete_security_group(GroupId=group["GroupId"])
            removed.append(group["GroupId"])


@contextmanager
def _told(left: list[str]) -> Iterator[None]:
    """Go on after a failure, and say it."""
    try:
        yield
    except CapctlError as error:
        left.append("; ".join((error.message, *error.details)))
