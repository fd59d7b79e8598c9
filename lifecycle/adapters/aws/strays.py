"""Snapshots that EC2 made for AMIs that are gone, and that nobody tagged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lifecycle.adapters.aws.descriptions import made_for, snapshots_of
from lifecycle.adapters.aws.filters import batches

_PAGE = 1000
# How what `made_for` understands begins.
_BEGINS = ["Created by CreateImage(*", "Copied for DestinationAmi *"]


def stray_snapshots(ec2: Any) -> Iterator[dict[str, Any]]:
    """Those of the account, as EC2 describes them; neither the AMI that one was made for nor any other has it."""
    pages = ec2.get_paginator("describe_snapshots").paginate(
        OwnerIds=["self"],
        Filters=[{"Name": "description", "Values": _BEGINS}],
        PaginationConfig={"PageSize": _PAGE},
    )
    found = {one["SnapshotId"]: one for page in pages for one in page["Snapshots"] if not one.get("Tags")}
    of = {name: made.ami_id for name, one in found.items() if (made := made_for(one.get("Description", "")))}
    # By the AMI's own id too: one that is being made does not show its snapshots yet.
    filters = {"image-id": [*of.values()], "block-device-mapping.snapshot-id": [*of]}
    images = [image for name, values in filters.items() for image in _images(ec2, name, batches(values))]
    there = {image["ImageId"] for image in images}
    held = {snapshot for image in images for snapshot in snapshots_of(image)}
    return (found[name] for name, ami_id in of.items() if ami_id not in there and name not in held)


def _images(ec2: Any, name: str, wanted: Iterator[list[str]]) -> Iterator[dict[str, Any]]:
    for values in wanted:
        pages = ec2.get_paginator("describe_images").paginate(
            Owners=["self"],
            IncludeDisabled=True,
            Filters=[{"Name": name, "Values": values}],
            PaginationConfig={"PageSize": _PAGE},
        )
        yield from (image for page in pages for image in page["Images"] if image["State"] != "deregistered")
