"""Which AMIs stay and which go, and why: a decision, and nothing that is asked or changed.

An AMI goes in two phases. It is disabled first, which stops whoever used it unseen and can be taken back; a later run removes it, once
the grace has passed and it is still proven that nobody uses it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_status import TRANSITIONS, AmiState, AmiStatus
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.moments import moment_text, told_moment
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import UseReport, shared_text, unread_text, uses_of, uses_text

BEYOND = "left for a later run: the limit of this one is reached"


class Fate(StrEnum):
    """What becomes of an AMI, or of a snapshot whose AMI is gone; a snapshot is marked where an AMI is disabled."""

    KEEP = "keep"
    DISABLE = "disable"
    DEREGISTER = "deregister"
    MARK = "mark"
    DELETE = "delete"


class Delay(StrEnum):
    """Why something that nobody needs stays for now."""

    GRACE = "grace"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`most` is how many go into each phase in one run."""

    keep_per_channel: int
    min_age: timedelta
    grace: timedelta
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What decides. `channels` are AMI ids by channel, newest first, and `elsewhere` those of other regions, None where they could not
    be read; `wanted` is the AMI that the next bake would give, `bases` tell why AMIs stay that bakes start from.

    `grants` are read of the AMIs and of the snapshots that would otherwise go, and of nothing else; None where they could not be read.
    """

    report: UseReport
    channels: Mapping[str, Sequence[AmiId]]
    elsewhere: Mapping[str, Mapping[str, Sequence[AmiId]] | None] = field(default_factory=dict)
    wanted: AmiId | None = None
    bases: Mapping[AmiId, str] = field(default_factory=dict)
    grants: Mapping[str, frozenset[Grant] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of an AMI, and every reason; `delay` is why one stays that is not needed."""

    ami: AmiRecord
    fate: Fate
    reasons: tuple[str, ...]
    cost: Cost
    delay: Delay | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotVerdict:
    """What becomes of a snapshot whose AMI is gone, and every reason; `delay` is why one stays that is not needed."""

    snapshot: SnapshotRecord
    fate: Fate
    reasons: tuple[str, ...]
    cost: Cost
    delay: Delay | None = None


def bases_of(amis: Iterable[AmiRecord]) -> dict[AmiId, str]:
    """The AMIs from which others were baked that are still there, and why they stay."""
    there = (ami for ami in amis if ami.state is not AmiState.DEREGISTERED)
    return {AmiId(base): f"{ami.id} was baked from it" for ami in there if (base := ami.tags.get(Tag.BASE_AMI))}


def by_age(amis: Iterable[AmiRecord]) -> list[AmiRecord]:
    """In the order in which they go: the oldest first."""
    return sorted(amis, key=lambda ami: (ami.created, ami.id))


def judge(
    amis: Sequence[AmiRecord],
    world: World,
    rules: Rules,
    now: datetime,
    *,
    snapshots: Mapping[str, SnapshotRecord] | None = None,
) -> tuple[Verdict, ...]:
    """The verdict on each of `amis`, in their order; what is deregistered already is left out.

    Of those that go, the oldest `Rules.most` of each phase go now. `snapshots` are priced, by id; those that are not given cost nothing.
    """
    uses, priced = world.report.by_id(), snapshots or {}
    named = _named_by_channels(world.channels, rules.keep_per_channel)
    found = []
    for ami in amis:
        if ami.state is AmiState.DEREGISTERED:
            continue
        reasons = (
            *unread_text(world.report.unread),
            *uses_text(uses_of(ami, uses)),
            *named.get(ami.id, ()),
            *_of_its_source(ami, world, rules),
            *filter(None, (world.bases.get(ami.id),)),
            # One that is off is of no use to a bake, and in its way.
            *(("a bake would give it now",) if ami.id == world.wanted and not ami.is_off else ()),
            *_of_the_ami(ami, rules, now),
            *shared_text(world.grants.get(ami.id, frozenset())),
        )
        fate, why = (Fate.KEEP, reasons) if reasons else _next_phase(ami, rules, now)
        cost = monthly_usd(priced[one] for one in ami.snapshot_ids if one in priced)
        delay = Delay.GRACE if fate is Fate.KEEP and not reasons else None
        found.append(Verdict(ami=ami, fate=fate, reasons=why, cost=cost, delay=delay))
    return _limited(found, rules.most)


def judge_snapshots(
    orphans: Sequence[SnapshotRecord], world: World, rules: Rules, now: datetime
) -> tuple[SnapshotVerdict, ...]:
    """The verdict on each of the project's snapshots whose AMI is gone; the oldest `Rules.most` go now."""
    uses, found = world.report.by_id(), []
    left = dict.fromkeys((Fate.MARK, Fate.DELETE), rules.most)
    for snapshot in sorted(orphans, key=lambda one: (one.started, one.id)):
        reasons = (
            *unread_text(world.report.unread),
            *uses_text(uses.get(snapshot.id, ())),
            *shared_text(world.grants.get(snapshot.id, frozenset())),
        )
        fate, why = (Fate.KEEP, reasons) if reasons else _next_of_snapshot(snapshot, rules, now)
        delay = Delay.GRACE if fate is Fate.KEEP and not reasons else None
        if fate in left:
            left[fate] -= 1
            if left[fate] < 0:
                fate, why, delay = Fate.KEEP, (*why, BEYOND), Delay.LIMIT
        cost = monthly_usd([snapshot])
        found.append(SnapshotVerdict(snapshot=snapshot, fate=fate, reasons=why, cost=cost, delay=delay))
    return tuple(found)


def _named_by_channels(channels: Mapping[str, Sequence[AmiId]], keep: int) -> dict[AmiId, list[str]]:
    named: dict[AmiId, list[str]] = {}
    for channel, history in sorted(channels.items()):
        # The same AMI may have been promoted again and again; each counts once.
        for place, ami_id in enumerate(list(dict.fromkeys(history))[:keep]):
            named.setdefault(ami_id, []).append(
                f"channel {channel} names it" if place == 0 else f"among the last {keep} of channel {channel}"
            )
    return named


def _of_its_source(ami: AmiRecord, world: World, rules: Rules) -> tuple[str, ...]:
    """Why a copy stays: it stands in for its source, which the channels of that one's region know."""
    region, source = ami.copied_from
    if not region:
        return ()
    channels = world.elsewhere.get(region)
    if channels is None:
        return (f"not known whether a channel of {region} names its source",)
    named = _named_by_channels(channels, rules.keep_per_channel).get(AmiId(source), ())
    return tuple(f"its source in {region}: {why}" for why in named)


def _of_the_ami(ami: AmiRecord, rules: Rules, now: datetime) -> Iterator[str]:
    """Why the AMI stays by what EC2 says of it."""
    if not ami.is_ours:
        yield "capctl did not make it"
    age = ami.age(now)
    if age is None:
        yield "its age is not known"
    elif age < rules.min_age:
        yield f"newer than {rules.min_age.days} days"
    if ami.is_protected:
        yield "protected from deregistration"
    # What was started before an AMI was withdrawn either runs, and is seen, or has ended.
    if ami.last_launched:
        launched = told_moment(ami.last_launched)
        if launched is None or (not ami.withdrawn_since and launched > now - rules.grace):
            yield f"an instance was started from it at {moment_text(launched) if launched else ami.last_launched}"
    if not (ami.state in {AmiState.AVAILABLE, AmiState.DISABLED} or ami.state.is_dead):
        yield f"its state is {ami.state}"
    status = ami.status
    if status is not None and not isinstance(status, AmiStatus):
        yield f"its status {status} is not one of this version of capctl"
    elif status and not status.is_withdrawn and AmiStatus.DISABLED not in TRANSITIONS[status]:
        yield f"it is {status}"


def _next_phase(ami: AmiRecord, rules: Rules, now: datetime) -> tuple[Fate, tuple[str, ...]]:
    """What becomes of an AMI that nothing keeps."""
    at = ami.withdrawn_since
    if at is None:
        return Fate.DISABLE, ("nothing uses it",)
    if now - at < rules.grace:
        return Fate.KEEP, (f"disabled, goes after {moment_text(at + rules.grace)}",)
    return Fate.DEREGISTER, (f"nothing uses it, disabled since {moment_text(at)}",)


def _next_of_snapshot(snapshot: SnapshotRecord, rules: Rules, now: datetime) -> tuple[Fate, tuple[str, ...]]:
    gone = f"its AMI {snapshot.ami_id} is gone"
    if at := told_moment(snapshot.tags.get(Tag.DISABLED_AT, "")):
        if now - at < rules.grace:
            return Fate.KEEP, (f"{gone}, goes after {moment_text(at + rules.grace)}",)
        return Fate.DELETE, (gone,)
    started = told_moment(snapshot.started)
    if started is None or now - started < rules.grace:
        return Fate.KEEP, (f"{gone}, and it is new",)
    return Fate.MARK, (gone,)


def _limited(verdicts: Sequence[Verdict], most: int) -> tuple[Verdict, ...]:
    spared = set()
    for fate in (Fate.DISABLE, Fate.DEREGISTER):
        going = [verdict.ami for verdict in verdicts if verdict.fate is fate]
        spared |= {ami.id for ami in by_age(going)[most:]}
    return tuple(
        replace(verdict, fate=Fate.KEEP, reasons=(*verdict.reasons, BEYOND), delay=Delay.LIMIT)
        if verdict.ami.id in spared
        else verdict
        for verdict in verdicts
    )
