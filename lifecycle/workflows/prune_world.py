"""What decides about AMIs: who uses them, what channels, releases and the next bake name, who else may start or copy them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNELS, READ_GRANTS
from lifecycle.domain.retention import (
    Fate,
    Rules,
    SnapshotVerdict,
    Verdict,
    World,
    bases_of,
    by_age,
    judge,
    judge_snapshots,
)
from lifecycle.domain.usage import Unread, UseReport
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.workflows.ami_uses import (
    READ_USES,
    account_uses,
    ami_release_uses,
    channel_histories,
    grants_told,
    if_readable,
    without_channels,
)
from lifecycle.workflows.bake import wanted_ami
from lifecycle.workflows.lookups import find_ami
from lifecycle.workflows.uses import Recent

READ_WORLD = (*READ_AMIS, *READ_GRANTS, *READ_CHANNELS, *READ_USES, "ssm:GetParameter")
# Without a lock, as beside a checkout, or without the parameter that names the base AMI, as in a region of copies, nothing is baked.
_NOTHING_IS_BAKED = {"lock-missing", "base-ami-unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the account's things name, what bakes start from, and the AMI that a bake would give; `not_wanted` says why there is none."""

    report: UseReport
    bases: Mapping[AmiId, str] = field(default_factory=dict)
    wanted: AmiId | None = None
    not_wanted: str = ""


class Scan:
    """What reading the whole account tells, for the steps of one run.

    The guarantee: right before each change the AMI or the snapshot itself, its grants, the channels and the releases are read anew, and
    what instances, launch templates, groups, fleets and parameters name was read less than a minute before, and never before the plan
    was confirmed. Who begins to use an AMI within that minute finds it disabled, which is taken back with one command; what is removed
    nobody could start since the grace began. A scan that could not be read to its end is not tried again: the rest of the run changes
    nothing.
    """

    def __init__(self, ports: Ports, target: Target) -> None:
        self.ports, self.target = ports, target
        self._account = Recent(
            ports.clock, partial(read_account, ports, target), is_unread=lambda account: bool(account.report.unread)
        )

    def world(self, amis: Collection[AmiRecord]) -> World:
        """The account, with the channels and the releases of this moment, to judge `amis` by."""
        return read_world(self.ports, self._account.get(), amis)


def rules_of(target: Target, *, most: int) -> Rules:
    """The configured rules."""
    retention = target.settings.ami.retention
    return Rules(
        keep_per_channel=retention.keep_per_channel,
        min_age=timedelta(days=retention.min_age_days),
        grace=timedelta(hours=retention.grace_hours),
        most=most,
    )


def read_account(ports: Ports, target: Target) -> Account:
    """What costs many calls. What cannot be read is told in the report; never raises for that."""
    report, bases, existing, not_wanted = account_uses(ports, target), dict[AmiId, str](), None, ""
    try:
        bases = {**bases_of(ports.amis.list(target.project)), **_configured_base(ports, target)}
        existing = wanted_ami(ports, target).existing
    except Interrupted:
        raise
    except CapctlError as error:
        if error.code in _NOTHING_IS_BAKED:
            not_wanted = error.message
        else:
            report += UseReport(unread=(Unread(source="what a bake would give", why=error.message),))
    # A bake would refuse one that was found wrong.
    wanted = existing.id if existing and not existing.is_found_wrong else None
    return Account(report=report, bases=bases, wanted=wanted, not_wanted=not_wanted)


def _configured_base(ports: Ports, target: Target) -> dict[AmiId, str]:
    try:
        return {ports.amis.resolve_base(target.settings.ami.base): "bakes start from it"}
    except CapctlError as error:
        if error.code not in _NOTHING_IS_BAKED:
            raise
        return {}


def read_world(ports: Ports, account: Account, amis: Collection[AmiRecord]) -> World:
    """Who uses `amis` at this moment. What cannot be read is told in the report; never raises for that."""
    channels, unread = channel_histories(ports.channels)
    named = {channel: history[0] for channel, history in channels.items() if history}
    report = without_channels(ports, account.report, named) + ami_release_uses(ports) + UseReport(unread=unread)
    elsewhere = {}
    for region in sorted({ami.copied_from[0] for ami in amis} - {""}):
        found, missing = channel_histories(ports.channels_in(region))
        elsewhere[region] = None if missing else found
    return World(report=report, channels=channels, elsewhere=elsewhere, wanted=account.wanted, bases=account.bases)


def decide(
    ports: Ports,
    amis: Sequence[AmiRecord],
    world: World,
    rules: Rules,
    *,
    snapshots: Mapping[str, SnapshotRecord] | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts, once it was asked with whom what would go is shared, the oldest first and until as many go as may in one run."""
    now, grants = ports.clock.now(), dict[str, frozenset[Grant] | None]()
    would_go = judge(amis, world, replace(rules, most=len(amis)), now)
    for fate in (Fate.DISABLE, Fate.DEREGISTER):
        left = rules.most
        for ami in by_age(one.ami for one in would_go if one.fate is fate):
            if left == 0:
                break
            grants[ami.id] = grants_told(ports.amis, ami)
            left -= grants[ami.id] == frozenset()
    return judge(amis, replace(world, grants=grants), rules, now, snapshots=snapshots)


def decide_snapshots(
    ports: Ports, orphans: Sequence[SnapshotRecord], world: World, rules: Rules
) -> tuple[SnapshotVerdict, ...]:
    """The verdicts on snapshots that no AMI of the project has. It is asked of those that would go who may copy them, and whether they
    are indeed nobody's: their AMI may have lost the project's tag, and another may have them; those that are not are left out."""
    now, owned, grants = ports.clock.now(), set[str](), dict[str, frozenset[Grant] | None]()
    verdicts = judge_snapshots(orphans, world, replace(rules, most=len(orphans)), now)
    would_go = [one for one in verdicts if one.fate is not Fate.KEEP]
    holders = ports.amis.holders([one.snapshot.id for one in would_go])
    left = dict.fromkeys((Fate.MARK, Fate.DELETE), rules.most)
    for one in would_go:
        snapshot = one.snapshot
        if left[one.fate] <= 0:
            continue
        if holders[snapshot.id] or find_ami(ports.amis, AmiId(snapshot.ami_id)):
            owned.add(snapshot.id)
        else:
            grants[snapshot.id] = if_readable(partial(_grants_of, ports, snapshot.id))
            left[one.fate] -= grants[snapshot.id] == frozenset()
    nobodys = [snapshot for snapshot in orphans if snapshot.id not in owned]
    return judge_snapshots(nobodys, replace(world, grants=grants), rules, now)


def _grants_of(ports: Ports, snapshot_id: str) -> frozenset[Grant]:
    return ports.amis.snapshot_grants([snapshot_id])[snapshot_id]
