"""AMIs and snapshots as EC2 describes them, in our words."""

import re
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.ami import AmiId, AmiRecord, SnapshotRecord
from lifecycle.domain.ami_status import AmiState

# The description of a snapshot that EC2 made for an AMI. The whole of it: who copies a snapshot by hand keeps the words of the original
# behind others, and the copy is of no AMI.
_CREATED = re.compile(r"Created by CreateImage\((?P<instance>i-\w+)\) for (?P<ami>ami-\w+)(?: from vol-\w+)?")
_COPIED = re.compile(
    r"Copied for DestinationAmi (?P<ami>ami-\w+) from SourceAmi (?P<source>ami-\w+)"
    r"(?: for SourceSnapshot snap-\w+\.?)?(?: Task created on [\d,.]+)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFor:
    """The AMI that a snapshot was made for, and the instance or, of a copy, the AMI that it was made from; else ""."""

    ami_id: str
    instance_id: str = ""
    source_ami: str = ""


def made_for(description: str) -> MadeFor | None:
    """None for a snapshot that EC2 made for no AMI."""
    if found := _CREATED.fullmatch(description):
        return MadeFor(ami_id=found["ami"], instance_id=found["instance"])
    found = _COPIED.fullmatch(description)
    return MadeFor(ami_id=found["ami"], source_ami=found["source"]) if found else None


def snapshots_of(image: dict[str, Any]) -> tuple[str, ...]:
    """The snapshots below an AMI, as EC2 describes it."""
    disks = (mapping.get("Ebs", {}) for mapping in image.get("BlockDeviceMappings", []))
    return tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId"))


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
        source_ami=image.get("SourceImageId", ""),
        source_region=image.get("SourceImageRegion", ""),
        source_instance=image.get("SourceInstanceId", ""),
    )


def snapshot_record(snapshot: dict[str, Any]) -> SnapshotRecord:
    """A snapshot as EC2 describes it, in our words."""
    made = made_for(snapshot.get("Description", ""))
    started = snapshot.get("StartTime")
    return SnapshotRecord(
        id=snapshot["SnapshotId"],
        state=snapshot["State"],
        size_gib=snapshot["VolumeSize"],
        full_bytes=snapshot.get("FullSnapshotSizeInBytes"),
        encrypted=snapshot.get("Encrypted", False),
        tags={tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", [])},
        ami_id=made.ami_id if made else "",
        source_ami=made.source_ami if made else "",
        started=started.isoformat() if started else "",
    )
