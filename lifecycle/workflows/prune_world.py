"""What decides about AMIs: who uses them, what channels, releases and the next bake name, who else may start or copy them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNELS, READ_GRANTS
from lifecycle.domain.retention import Fate, Rules, SnapshotVerdict, Verdict, World, judge, judge_snapshots
from lifecycle.domain.usage import Unread, UseReport
from lifecycle.errors import CapctlError, Interrupted, UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.ami_uses import (
    READ_USES,
    account_uses,
    channel_histories,
    grants_on,
    if_readable,
    release_uses,
    without_channels,
)
from lifecycle.workflows.bake import wanted_ami
from lifecycle.workflows.lookups import find_ami

READ_WORLD = (*READ_AMIS, *READ_GRANTS, *READ_CHANNELS, *READ_USES, "ssm:GetParameter")
_LASTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the account's own things name, and the AMI that a bake would give; `not_wanted` says why that is not known."""

    report: UseReport
    wanted: AmiId | None = None
    not_wanted: str = ""


@dataclass(slots=True, kw_only=True)
class Scan:
    """What reading the whole account tells, for the steps of one run.

    The guarantee: right before each change the AMI or the snapshot itself, its grants, the channels and the releases are read anew, and
    what instances, launch templates, groups, fleets and parameters name was read less than a minute before, and never before the plan
    was confirmed. Who begins to use an AMI within that minute finds it disabled, which is taken back with one command; what is removed
    nobody could start since the grace began. A scan that could not be read to its end is not tried again: the rest of the run changes
    nothing.
    """

    ports: Ports
    target: Target
    _found: tuple[datetime, Account] | None = field(default=None, init=False)

    def account(self) -> Account:
        """The account as it is, or was less than a minute ago."""
        now = self.ports.clock.now()
        if self._found is None or not (self._found[1].report.unread or now - self._found[0] < _LASTS):
            self._found = now, read_account(self.ports, self.target)
        return self._found[1]

    def world(self) -> World:
        """The account, with the channels and the releases of this moment."""
        return read_world(self.ports, self.account())


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
    report = account_uses(ports, target)
    try:
        existing = wanted_ami(ports, target).existing
    except Interrupted:
        raise
    except UsageError as error:
        # Without a lock that can be read, as beside a checkout, nothing is baked.
        return Account(report=report, not_wanted=error.message)
    except CapctlError as error:
        return Account(report=report + UseReport(unread=(Unread(source="what a bake would give", why=error.message),)))
    return Account(report=report, wanted=existing.id if existing and not existing.is_found_wrong else None)


def read_world(ports: Ports, account: Account) -> World:
    """Who uses what at this moment. What cannot be read is told in the report; never raises for that."""
    channels, unread = channel_histories(ports)
    named = {channel: history[0] for channel, history in channels.items() if history}
    report = without_channels(ports, account.report, named) + release_uses(ports) + UseReport(unread=unread)
    return World(report=report, channels=channels, wanted=account.wanted)


def decide(
    ports: Ports,
    amis: Sequence[AmiRecord],
    world: World,
    rules: Rules,
    *,
    snapshots: Mapping[str, SnapshotRecord] | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts, once it was asked with whom what would go is shared: what turns out to be shared makes room for the next."""
    grants: dict[str, frozenset[Grant] | None] = {}
    while True:
        verdicts = judge(amis, replace(world, grants=grants), rules, ports.clock.now(), snapshots=snapshots)
        unasked = [one.ami for one in verdicts if one.fate is not Fate.KEEP and one.ami.id not in grants]
        if not unasked:
            return verdicts
        grants |= {ami.id: if_readable(partial(grants_on, ports.amis, ami)) for ami in unasked}


def decide_snapshots(
    ports: Ports, orphans: Sequence[SnapshotRecord], world: World, rules: Rules
) -> tuple[SnapshotVerdict, ...]:
    """The verdicts on snapshots that no AMI of the project has. It is asked of those that would go who may copy them, and whether they
    are indeed nobody's: their AMI may have lost the project's tag, and another may have them; those that are not are left out."""
    owned, grants = set[str](), dict[str, frozenset[Grant] | None]()
    while True:
        left = [snapshot for snapshot in orphans if snapshot.id not in owned]
        verdicts = judge_snapshots(left, replace(world, grants=grants), rules, ports.clock.now())
        unasked = [one.snapshot for one in verdicts if one.fate is not Fate.KEEP and one.snapshot.id not in grants]
        if not unasked:
            return verdicts
        holders = ports.amis.holders([one.id for one in unasked])
        owned |= {one.id for one in unasked if holders[one.id] or find_ami(ports.amis, AmiId(one.ami_id))}
        grants |= {one.id: if_readable(partial(_grants_of, ports, one.id)) for one in unasked if one.id not in owned}


def _grants_of(ports: Ports, snapshot_id: str) -> frozenset[Grant]:
    return ports.amis.snapshot_grants([snapshot_id])[snapshot_id]
