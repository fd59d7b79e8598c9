"""What decides about AMIs, read anew: who uses them, what channels and releases name, who else may start them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.permissions import READ_AMI_GRANTS, READ_AMIS, READ_CHANNELS
from lifecycle.domain.retention import Fate, Rules, SnapshotVerdict, Verdict, World, judge, judge_snapshots
from lifecycle.domain.usage import UseReport
from lifecycle.ports import Ports
from lifecycle.workflows.ami_uses import READ_USES, account_uses, channel_histories, readable_grants, release_uses
from lifecycle.workflows.lookups import find_ami

READ_WORLD = (*READ_AMIS, *READ_AMI_GRANTS, *READ_CHANNELS, *READ_USES)


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
    channels, unread = channel_histories(ports)
    report = account_uses(ports, target) + release_uses(ports) + UseReport(unread=unread)
    return World(report=report, channels=channels)


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
        grants |= {ami_id: readable_grants(ports.amis, ami_id) for ami_id in unasked}


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
