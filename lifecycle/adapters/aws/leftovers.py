"""What bakes that ended badly left in EC2: by their tags, and where older versions of Packer set none, by what it calls things."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.deregister import deregister
from lifecycle.adapters.aws.descriptions import MadeFor, ami_record, made_for, snapshots_of
from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.filters import batches
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.moments import told_moment
from lifecycle.domain.sweep import Leftover, LeftoverKind, half_made
from lifecycle.domain.tags import Tag

_PAGE = 1000  # the most that EC2 gives in one answer; without a size it tries to give everything at once
_ALIVE = ("pending", "running", "stopping", "stopped", "shutting-down")
# A time-ordered uuid: Packer begins it with the seconds since 1970 at which it was made.
TEMPORARY = re.compile(r"packer_([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# The call that deletes one, its argument, the call that shows it, its answer's list, and the filter by id.
_CALLS = {
    LeftoverKind.INSTANCE: ("terminate_instances", "InstanceIds", "describe_instances", "Reservations", "instance-id"),
    LeftoverKind.AMI: ("deregister_image", "ImageId", "describe_images", "Images", "image-id"),
    LeftoverKind.VOLUME: ("delete_volume", "VolumeId", "describe_volumes", "Volumes", "volume-id"),
    LeftoverKind.SNAPSHOT: ("delete_snapshot", "SnapshotId", "describe_snapshots", "Snapshots", "snapshot-id"),
    LeftoverKind.KEY_PAIR: ("delete_key_pair", "KeyName", "describe_key_pairs", "KeyPairs", "key-pair-id"),
    LeftoverKind.SECURITY_GROUP: (
        "delete_security_group",
        "GroupId",
        "describe_security_groups",
        "SecurityGroups",
        "group-id",
    ),
}


class Ec2Leftovers:
    """`ports.Leftovers` of one project in the target's region."""

    def __init__(self, session: AwsSession, project: str) -> None:
        self._session = session
        self._project = project

    @cached_property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    def find(self, *, named: Collection[str] = ()) -> tuple[Leftover, ...]:
        with translated(f"looking for what bakes of `{self._project}` left"):
            marked = [
                {"Name": f"tag:{Tag.PROJECT}", "Values": [self._project]},
                {"Name": "tag-key", "Values": [Tag.RUN.value]},
            ]
            instances = list(self._instances(marked))
            if launched := [name for name in named if name.startswith("i-")]:
                instances += self._instances([{"Name": "instance-id", "Values": sorted(launched)}])
            alive = {one["InstanceId"]: _instance(one) for one in instances if one["State"]["Name"] in _ALIVE}
            found = list(alive.values())
            images = self._pages("describe_images", "Images", Owners=["self"], IncludeDisabled=True)
            snapshots = self._made_snapshots()
            origins = {made.ami_id: made.instance_id for made, _ in snapshots}
            amis = (
                replace(ami, source_instance=ami.source_instance or origins.get(ami.id, ""))
                for ami in map(ami_record, images)
            )
            found += [one for ami in amis if (one := half_made(ami, self._project, named))]
            loose = {"Name": "status", "Values": ["available"]}
            volumes = self._pages("describe_volumes", "Volumes", Filters=[*marked, loose])
            found += [_made(LeftoverKind.VOLUME, one["VolumeId"], one, created=one["CreateTime"]) for one in volumes]
            found += _without_ami(snapshots, {image["ImageId"] for image in images}, instances)
            found += self._temporary(instances)
        return tuple(item for item in found if item.project in {"", self._project})

    def remove(self, item: Leftover) -> None:
        if item.kind is LeftoverKind.AMI:
            with translated(f"reading AMI `{item.id}`"):
                images = self._shown(item)
            deregister(self._ec2, item.id, [snapshot for image in images for snapshot in snapshots_of(image)])
            return
        call, argument, *_ = _CALLS[item.kind]
        with translated(f"removing {item}"):
            try:
                named = item.name if item.kind is LeftoverKind.KEY_PAIR else item.id
                getattr(self._ec2, call)(**{argument: [named] if argument.endswith("s") else named})
            except ClientError as error:
                if not is_missing(error):
                    raise

    def exists(self, item: Leftover) -> bool:
        with translated(f"looking for {item}"):
            shown = self._shown(item)
        if item.kind is LeftoverKind.INSTANCE:
            states = {one["State"]["Name"] for reservation in shown for one in reservation["Instances"]}
            return bool(states & set(_ALIVE))
        return any(one.get("State") != "deregistered" for one in shown)

    def _shown(self, item: Leftover) -> list[dict[str, Any]]:
        _, _, call, answer, by_id = _CALLS[item.kind]
        # A filter answers for what is gone, and for what is disabled too; an id would be an error.
        options: dict[str, Any] = {"IncludeDisabled": True} if item.kind is LeftoverKind.AMI else {}
        return self._pages(call, answer, Filters=[{"Name": by_id, "Values": [item.id]}], **options)

    def _pages(self, call: str, answer: str, **options: Any) -> list[dict[str, Any]]:
        if not self._ec2.can_paginate(call):
            return list(getattr(self._ec2, call)(**options)[answer])
        pages = self._ec2.get_paginator(call).paginate(**options, PaginationConfig={"PageSize": _PAGE})
        return [one for page in pages for one in page[answer]]

    def _instances(self, filters: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for reservation in self._pages("describe_instances", "Reservations", Filters=filters):
            yield from reservation["Instances"]

    def _made_snapshots(self) -> list[tuple[MadeFor, dict[str, Any]]]:
        """Those that EC2 made for an AMI, each with what its description tells."""
        shown = self._pages("describe_snapshots", "Snapshots", OwnerIds=["self"])
        return [(made, one) for one in shown if (made := made_for(one.get("Description", "")))]

    def _temporary(self, baking: list[dict[str, Any]]) -> Iterator[Leftover]:
        """Key pairs and groups by Packer's names; those of an instance that is ours, or was until lately, are its run's.

        Those that somebody else tagged are theirs, also without a project: our Packer tags with the project, or not at all.
        """
        named = [{"Name": "group-name", "Values": ["packer_*"]}]
        groups = [
            one
            for one in self._pages("describe_security_groups", "SecurityGroups", Filters=named)
            if _moment_of(one["GroupName"])
        ]
        pairs = [one for one in self._pages("describe_key_pairs", "KeyPairs") if _moment_of(one["KeyName"])]
        alive = {"Name": "instance-state-name", "Values": list(_ALIVE)}
        users: dict[str, set[str]] = {}
        for names in batches(pair["KeyName"] for pair in pairs):
            for instance in self._instances([{"Name": "key-name", "Values": names}, alive]):
                users.setdefault(instance["KeyName"], set()).add(instance["InstanceId"])
        for ids in batches(group["GroupId"] for group in groups):
            by_group = [{"Name": "group-id", "Values": ids}]
            for card in self._pages("describe_network_interfaces", "NetworkInterfaces", Filters=by_group):
                user = (card.get("Attachment") or {}).get("InstanceId") or card["NetworkInterfaceId"]
                for group in card["Groups"]:
                    users.setdefault(group["GroupId"], set()).add(user)
        owners = {name: one for one in baking for name in _temporary_names(one)}
        for kind, id_key, name_key, things in (
            (LeftoverKind.KEY_PAIR, "KeyPairId", "KeyName", pairs),
            (LeftoverKind.SECURITY_GROUP, "GroupId", "GroupName", groups),
        ):
            for one in things:
                name = one[name_key]
                tags = one.get("Tags") or (owners.get(name) or {}).get("Tags")
                if one.get("Tags") and not _has_project(one["Tags"]):
                    continue
                used_by = users.get(name if kind is LeftoverKind.KEY_PAIR else one[id_key], set())
                yield _made(
                    kind, one[id_key], {"Tags": tags}, name=name, created=_moment_of(name), users=frozenset(used_by)
                )


def _without_ami(
    snapshots: Iterable[tuple[MadeFor, dict[str, Any]]], ami_ids: set[str], baking: list[dict[str, Any]]
) -> Iterator[Leftover]:
    """Those whose AMI is gone; one without tags is of its instance's run, as long as EC2 shows that instance."""
    tags_of = {one["InstanceId"]: one.get("Tags") for one in baking}
    for made, one in snapshots:
        if made.ami_id not in ami_ids:
            tags, created = one.get("Tags") or tags_of.get(made.instance_id), one["StartTime"]
            yield _made(LeftoverKind.SNAPSHOT, one["SnapshotId"], {"Tags": tags}, name=made.ami_id, created=created)


def _temporary_names(instance: dict[str, Any]) -> Iterable[str]:
    names = [instance.get("KeyName", ""), *(group.get("GroupName", "") for group in instance.get("SecurityGroups", []))]
    return [name for name in names if TEMPORARY.fullmatch(name)]


def _has_project(tags: Iterable[dict[str, str]]) -> bool:
    return any(tag["Key"] == Tag.PROJECT for tag in tags)


def _instance(one: dict[str, Any]) -> Leftover:
    return _made(LeftoverKind.INSTANCE, one["InstanceId"], one, created=one["LaunchTime"])


def _made(kind: LeftoverKind, item_id: str, told: dict[str, Any], **known: Any) -> Leftover:
    tags = {tag["Key"]: tag["Value"] for tag in told.get("Tags") or []}
    return Leftover(
        kind=kind,
        id=item_id,
        name=known.pop("name", tags.get("Name", "")),
        project=tags.get(Tag.PROJECT, ""),
        run_id=tags.get(Tag.RUN, ""),
        run_until=told_moment(tags.get(Tag.RUN_UNTIL, "")),
        **known,
    )


def _moment_of(name: str) -> datetime | None:
    """When Packer made what it calls so; None for a name that Packer did not give."""
    found = TEMPORARY.fullmatch(name)
    return datetime.fromtimestamp(int(found[1], 16), UTC) if found else None
