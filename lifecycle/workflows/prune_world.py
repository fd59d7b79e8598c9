"""What decides about AMIs, read anew: who uses them, what channels and releases name, who else may start them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNELS, READ_POINTER, READ_STATE
from lifecycle.domain.retention import Fate, Rules, SnapshotVerdict, Verdict, World, judge, judge_snapshots
from lifecycle.domain.usage import Unread, Use, UseReport
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.workflows.deregister import find_ami

# Everything that may name an AMI.
READ_USERS = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLaunchConfigurations",
    "batch:DescribeComputeEnvironments",
    "ec2:DescribeFleets",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeSpotFleetRequests",
    "ec2:DescribeSpotInstanceRequests",
    "ssm:DescribeParameters",
    "ssm:GetParameters",
)
READ_WORLD = (*READ_AMIS, *READ_CHANNELS, *READ_POINTER, *READ_STATE, *READ_USERS, "ec2:DescribeImageAttribute")


def rules_of(target: Target, *, most: int) -> Rules:
    """The configured rules."""
    retention = target.settings.ami.retention
    return Rules(
        keep_per_channel=retention.keep_per_channel,
        min_age=timedelta(days=retention.min_age_days),
        grace=timedelta(hours=retention.grace_hours),
        most=most,
    )


def read_world(ports: Ports, target: Target) -> World:
    """Who uses what at this moment. What cannot be read is told in the report; never raises for that."""
    report = ports.ami_users.scan(template_versions=target.settings.ami.retention.template_versions)
    channels, unread = _channels(ports)
    return World(report=report + _releases(ports) + UseReport(unread=unread), channels=channels)


def decide(
    ports: Ports,
    amis: Sequence[AmiRecord],
    world: World,
    rules: Rules,
    *,
    snapshots: Mapping[str, SnapshotRecord] | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts, once it was asked with whom what would go is shared: what turns out to be shared makes room for the next."""
    grants: dict[AmiId, frozenset[Grant] | None] = {}
    while True:
        verdicts = judge(amis, replace(world, grants=grants), rules, ports.clock.now(), snapshots=snapshots)
        going = [verdict.ami.id for verdict in verdicts if verdict.fate is not Fate.KEEP]
        unasked = [ami_id for ami_id in going if ami_id not in grants]
        if not unasked:
            return verdicts
        grants |= {ami_id: _grants(ports, ami_id) for ami_id in unasked}


def decide_snapshots(
    ports: Ports, orphans: Sequence[SnapshotRecord], world: World, rules: Rules
) -> tuple[SnapshotVerdict, ...]:
    """The verdicts on snapshots that no AMI of the project has. It is asked of those that would go whether their AMI is gone indeed,
    since it may have lost the project's tag; those of which it is not are left out."""
    owned, gone = set[str](), set[str]()
    while True:
        left = [snapshot for snapshot in orphans if snapshot.ami_id not in owned]
        verdicts = judge_snapshots(left, world, rules, ports.clock.now())
        going = {verdict.snapshot.ami_id for verdict in verdicts if verdict.fate is not Fate.KEEP}
        unasked = going - gone
        if not unasked:
            return verdicts
        for ami_id in sorted(unasked):
            (gone if find_ami(ports.amis, AmiId(ami_id)) is None else owned).add(ami_id)


def still(ports: Ports, target: Target, ami: AmiRecord) -> Verdict:
    """The verdict on one AMI as everything is at this moment."""
    (verdict,) = decide(ports, [ami], read_world(ports, target), rules_of(target, most=1))
    return verdict


def _channels(ports: Ports) -> tuple[Mapping[str, Sequence[AmiId]], tuple[Unread, ...]]:
    """The AMIs that each channel names and named, newest first."""
    try:
        named = [entry.channel for entry in ports.channels.list()]
        return {
            channel: tuple(dict.fromkeys(entry.ami_id for entry in ports.channels.history(channel)))
            for channel in named
        }, ()
    except Interrupted:
        raise
    except CapctlError as error:
        return {}, (Unread(source="channels", why=error.message),)


def _releases(ports: Ports) -> UseReport:
    """The AMIs of the releases that exist, and whether the one that takes jobs is among them."""
    try:
        releases, pointer = ports.stack.releases(), ports.pointers.read()
    except Interrupted:
        raise
    except CapctlError as error:
        return UseReport(unread=(Unread(source="releases", why=error.message),))
    silent = [release.id for release in releases if not release.ami_id]
    if pointer and pointer.release_id not in {release.id for release in releases}:
        silent.append(pointer.release_id)
    roles = {pointer.previous_release_id: "previous", pointer.release_id: "active"} if pointer else {}
    return UseReport(
        uses=tuple(
            Use(ami_id=release.ami_id, kind="release", name=release.id, detail=roles.get(release.id, ""))
            for release in releases
        ),
        unread=tuple(Unread(source="releases", why=f"release {one} does not say which AMI it has") for one in silent),
    )


def _grants(ports: Ports, ami_id: AmiId) -> frozenset[Grant] | None:
    try:
        return ports.amis.grants(ami_id)
    except Interrupted:
        raise
    except CapctlError:
        return None
