"""`ami prune`: which AMIs stay and why, and the removal of those that nobody needs, in two runs with a grace between them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import SnapshotRecord
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.plan import Done, Plan, Step
from lifecycle.domain.retention import Delay, Fate, SnapshotVerdict, Verdict
from lifecycle.domain.usage import Unread
from lifecycle.errors import Inconclusive
from lifecycle.ports import Ports
from lifecycle.workflows.ami_uses import if_readable
from lifecycle.workflows.prune_steps import DeleteSnapshot, DeregisterAmi, DisableAmi, MarkSnapshot
from lifecycle.workflows.prune_world import (
    READ_WORLD,
    Scan,
    decide,
    decide_snapshots,
    read_account,
    read_world,
    rules_of,
)
from lifecycle.workflows.uses import Kept, use_unproven

PERMISSIONS = {"ami prune": (*READ_WORLD, "ec2:DescribeSnapshots")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The verdicts on the project's AMIs, newest first, and on its snapshots whose AMI is gone; `plan` carries them out.

    `strays` are snapshots of AMIs that are gone, too, but nothing tells whose they are: they are only told.
    `saved` is what this run saves per month, and `saved_later` what another does, once the grace of what is disabled or marked by then
    has passed; a snapshot counts that no AMI is left to have.
    """

    verdicts: tuple[Verdict, ...]
    orphans: tuple[SnapshotVerdict, ...]
    unread: tuple[Unread, ...]
    plan: Plan
    saved: Cost
    saved_later: Cost
    strays: tuple[SnapshotRecord, ...] = ()


def plan_prune(ports: Ports, target: Target, *, most: int) -> Pruning:
    """Judge the project's AMIs and snapshots; at most `most` are disabled, and at most `most` removed, in one run.

    Where a source of uses could not be read every AMI is in use, and the plan is empty.
    """
    amis = ports.amis.list(target.project)
    snapshots = {snapshot.id: snapshot for snapshot in ports.amis.snapshots_of(target.project)}
    held = {snapshot for ami in amis for snapshot in ami.snapshot_ids}
    # Those that nobody tagged are read by their ids.
    snapshots |= {snapshot.id: snapshot for snapshot in ports.amis.snapshots(held - snapshots.keys())}
    account, rules = read_account(ports, target), rules_of(target, most=most)
    if account.not_wanted:
        ports.ui.warn(f"The AMI that a bake would give is kept only by the other rules: {account.not_wanted}")
    world = read_world(ports, account, amis)
    verdicts = decide(ports, amis, world, rules, snapshots=snapshots)
    there = {ami.id for ami in amis}
    left = [one for one in snapshots.values() if one.id not in held and one.ami_id and one.ami_id not in there]
    removed = sum(verdict.fate is Fate.DEREGISTER for verdict in verdicts)
    orphans = decide_snapshots(ports, left, world, replace(rules, most=most - removed))
    now = _freed(ports, verdicts, orphans, snapshots, by=lambda one: one.fate in {Fate.DEREGISTER, Fate.DELETE})
    in_all = _freed(
        ports, verdicts, orphans, snapshots, by=lambda one: one.fate is not Fate.KEEP or one.delay is Delay.GRACE
    )
    return Pruning(
        saved=monthly_usd(now.values()),
        saved_later=monthly_usd(one for one in in_all.values() if one.id not in now),
        verdicts=verdicts,
        orphans=orphans,
        unread=world.report.unread,
        plan=_plan(ports, target, verdicts, orphans, world.report.unread),
        strays=if_readable(ports.amis.stray_snapshots) or (),
    )


def _freed(
    ports: Ports,
    verdicts: Iterable[Verdict],
    orphans: Iterable[SnapshotVerdict],
    snapshots: Mapping[str, SnapshotRecord],
    *,
    by: Callable[[Verdict | SnapshotVerdict], bool],
) -> dict[str, SnapshotRecord]:
    """The snapshots, by id, that are stored no longer once what the verdicts say has come about."""
    gone = [one.ami for one in verdicts if by(one)]
    holders = ports.amis.holders({snapshot for ami in gone for snapshot in ami.snapshot_ids})
    freed = {one for one, amis in holders.items() if amis <= {ami.id for ami in gone}}
    freed |= {one.snapshot.id for one in orphans if by(one)}
    return {one: snapshots[one] for one in sorted(freed) if one in snapshots}


def unproven(pruning: Pruning, done: Done | None) -> Inconclusive | None:
    """The failure of a prune that could not read everything, before the plan or while it was carried out; None when it could."""
    if pruning.unread:
        return use_unproven(pruning.unread, command="ami prune", so="none goes")
    kept = [result for _, result in done.results if isinstance(result, Kept)] if done else []
    unread = tuple(dict.fromkeys(one for each in kept for one in each.unread))
    return use_unproven(unread, command="ami prune", so="not all went that should have gone") if unread else None


def outcomes_of(done: Done | None) -> dict[str, str]:
    """What a prune did to each AMI and snapshot, by id; nothing when it was not carried out."""
    found: dict[str, str] = {}
    for step, result in done.results if done else ():
        if isinstance(step, DisableAmi | DeregisterAmi):
            found[step.ami.id] = str(result)
        elif isinstance(step, MarkSnapshot | DeleteSnapshot):
            found[step.snapshot.id] = str(result)
    return found


def _plan(
    ports: Ports,
    target: Target,
    verdicts: tuple[Verdict, ...],
    orphans: tuple[SnapshotVerdict, ...],
    unread: tuple[Unread, ...],
) -> Plan:
    ami_steps: dict[Fate, type[DisableAmi] | type[DeregisterAmi]] = {
        Fate.DISABLE: DisableAmi,
        Fate.DEREGISTER: DeregisterAmi,
    }
    snapshot_steps: dict[Fate, type[MarkSnapshot] | type[DeleteSnapshot]] = {
        Fate.MARK: MarkSnapshot,
        Fate.DELETE: DeleteSnapshot,
    }
    scan, steps = Scan(ports, target), list[Step[Any]]()
    for fate, ami_step in ami_steps.items():
        steps += [ami_step(scan=scan, ami=one.ami) for one in verdicts if one.fate is fate]
    for fate, snapshot_step in snapshot_steps.items():
        steps += [snapshot_step(scan=scan, snapshot=one.snapshot) for one in orphans if one.fate is fate]
    beyond = [*(one.delay for one in verdicts), *(one.delay for one in orphans)].count(Delay.LIMIT)
    if unread:
        because = f"not everything that may use an AMI could be read: {'; '.join(map(str, unread))}"
    elif unneeded := len(steps) + beyond:
        things = "1 AMI or snapshot is" if unneeded == 1 else f"{unneeded} AMIs or snapshots are"
        later = f", {beyond} of which a later run takes, since `--max-deletions` is reached" if beyond else ""
        because = f"{things} not needed{later}"
    else:
        because = "every AMI is needed, or not old enough"
    return Plan(title=f"prune the AMIs of {target.project}", because=because, steps=tuple(steps))
