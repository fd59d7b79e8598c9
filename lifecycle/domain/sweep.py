"""What runs that ended badly left behind, and which of it may be removed: whatever may still be needed stays."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.bake_inputs import run_in_name
from lifecycle.domain.measures import duration_text
from lifecycle.domain.moments import moment_text, told_moment
from lifecycle.domain.tags import Tag

# So long a half-made AMI whose content is proven waits for the bake that finishes it.
FINISHED_WITHIN = timedelta(hours=24)


class LeftoverKind(StrEnum):
    """The kinds in the order in which they can be removed: what uses others goes first."""

    INSTANCE = "instance"
    AMI = "AMI"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    KEY_PAIR = "key pair"
    SECURITY_GROUP = "security group"

    @property
    def is_temporary(self) -> bool:
        """Whether Packer makes one for each build, of no use to anything after it, and older versions do not tag it."""
        return self in {LeftoverKind.KEY_PAIR, LeftoverKind.SECURITY_GROUP}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing in EC2 that a bake makes and that no bake leaves if it ends well. What is not known is "" or None.

    `project` and `run_id` are what its tags say, or those of the instance it belongs to; `run_until`: no longer can that run live.
    `users` are the instances and network interfaces that need it. Of an AMI, `instance` is what EC2 says it was made from, and
    `is_complete` that instances can be started from it.
    """

    kind: LeftoverKind
    id: str
    name: str = ""
    project: str = ""
    run_id: str = ""
    created: datetime | None = None
    run_until: datetime | None = None
    users: frozenset[str] = frozenset()
    instance: str = ""
    is_complete: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.id}{f' ({self.name})' if self.name else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """A run of a bake on this machine that has not ended well, or not yet.

    `is_held`: a process of it exists, by `holders`, as far as they can be told. `named` are ids and names of what it made.
    """

    id: str
    is_held: bool
    started: datetime | None = None
    until: datetime | None = None
    named: frozenset[str] = frozenset()
    holders: tuple[int, ...] = ()

    def is_alive(self, now: datetime) -> bool:
        """Whether it may go on; a process that exists longer than any run can live goes on with nothing."""
        return self.is_held and not (self.until and now > self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRules:
    """What there is to decide by.

    `finishable` are AMIs that a bake can go on with. `in_use` says of AMIs and snapshots, by id, why it is not proven that nothing uses
    them; it is asked of what would otherwise go, and of nothing else.
    """

    project: str
    now: datetime
    older_than: timedelta
    runs: Mapping[str, KnownRun] = field(default_factory=dict)
    finishable: Collection[str] = ()
    in_use: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def owner(self, item: Leftover) -> str:
        """The run that made it, or "" where nothing tells."""
        if item.run_id:
            return item.run_id
        return next((run.id for run in self.runs.values() if run.named & {item.id, item.name, item.instance}), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a leftover goes, and why or why not."""

    item: Leftover
    run_id: str
    removes: bool
    because: str


def half_made(ami: AmiRecord, project: str, named: Collection[str] = ()) -> Leftover | None:
    """The AMI as a leftover of the project's; None for one that came to its end, and for one that no bake or copy of the project made.

    Of those tell its tags, that a run here `named` it or its instance, or its name, if EC2 says that an instance gave it: who copies an
    AMI by hand keeps the name.
    """
    run_told = run_in_name(project, ami.name)
    tagged_project = ami.tags.get(Tag.PROJECT, "")
    is_known = bool({ami.id, ami.source_instance} & set(named))
    is_named = run_told is not None and bool(ami.source_instance)
    is_made_by_capctl = not ami.is_copied_by_hand and (is_known or is_named or bool(tagged_project and ami.is_ours))
    if not (ami.is_half_made and is_made_by_capctl and tagged_project in {"", project}):
        return None
    return Leftover(
        kind=LeftoverKind.AMI,
        id=ami.id,
        name=ami.name,
        project=tagged_project,
        run_id=ami.tags.get(Tag.RUN) or run_told or "",
        created=told_moment(ami.created),
        run_until=told_moment(ami.tags.get(Tag.RUN_UNTIL, "")),
        instance=ami.source_instance,
        is_complete=ami.state is AmiState.AVAILABLE,
    )


def judge_all(items: Iterable[Leftover], rules: SweepRules) -> tuple[Verdict, ...]:
    """Decide about each, in the order in which they can be removed; what only things use that go is not in use."""
    order, verdicts = list(LeftoverKind), list[Verdict]()
    gone: set[str] = set()
    for item in sorted(items, key=lambda item: (order.index(item.kind), item.name, item.id)):
        verdicts.append(judge(replace(item, users=item.users - gone), rules))
        gone |= {item.id} if verdicts[-1].removes else set()
    return tuple(verdicts)


def judge(item: Leftover, rules: SweepRules) -> Verdict:
    """Decide about one leftover; the first reason to keep it counts."""
    run_id = rules.owner(item)
    run = rules.runs.get(run_id)
    kept = (
        _of_another(item, run, rules)
        or _of_a_live_run(item, run_id, run, rules)
        or (f"{', '.join(sorted(item.users))} uses it" if item.users else "")
        or _of_prune(item, run)
        or _of_nobody(item, run_id)
        or _of_a_bake(item, rules)
        or "; ".join(rules.in_use.get(item.id, ()))
    )
    if kept:
        return Verdict(item=item, run_id=run_id, removes=False, because=kept)
    if run:
        return Verdict(item=item, run_id=run_id, removes=True, because=f"run `{run_id}` is dead")
    too_young = _too_young(item, rules)
    owner = f"run `{run_id}` is not known here" if run_id else "no run is known to need it"
    because = too_young or f"{owner}, and it is older than {_text(rules.older_than)}"
    return Verdict(item=item, run_id=run_id, removes=not too_young, because=because)


def _of_another(item: Leftover, run: KnownRun | None, rules: SweepRules) -> str:
    """Unmarked things are the project's by a run of it; an AMI as `half_made` says.

    A temporary key pair or security group may be of anybody's Packer: unused and old it serves nobody.
    """
    if item.project:
        return "" if item.project == rules.project else f"it is of project `{item.project}`"
    proven = run is not None or item.kind is LeftoverKind.AMI
    return "" if proven or item.kind.is_temporary else f"nothing says that it is of project `{rules.project}`"


def _of_a_live_run(item: Leftover, run_id: str, run: KnownRun | None, rules: SweepRules) -> str:
    if run and run.is_alive(rules.now):
        return f"run `{run_id}` is alive"
    # A mark that ends later than the run did is of another, which goes on with what this one left.
    if item.run_until and rules.now <= item.run_until and (not run or (run.until and item.run_until > run.until)):
        return f"{'another run' if run else f'run `{run_id}`'} may live until {moment_text(item.run_until)}"
    if run:
        return ""
    # Older versions of Packer do not mark these, and their name is told after they are made.
    for live in rules.runs.values():
        begun = not (live.started and item.created) or item.created >= live.started - timedelta(seconds=1)
        if not run_id and live.is_alive(rules.now) and begun:
            return f"it may be of run `{live.id}`, which is alive"
    return ""


def _of_prune(item: Leftover, run: KnownRun | None) -> str:
    """Snapshots without their AMI are judged by `ami prune`, with a grace; but those that a run here left half-made served nobody."""
    is_prunes = item.kind is LeftoverKind.SNAPSHOT and run is None
    return "`capctl ami prune` decides, since no run that died here made it" if is_prunes else ""


def _of_nobody(item: Leftover, run_id: str) -> str:
    """What can be used goes at once only if a run and an instance tell the bake that died; else it gets the grace of `ami prune`."""
    is_proven = bool(run_id and item.instance)
    return (
        "it is complete, and nothing proves that a bake left it half-made" if item.is_complete and not is_proven else ""
    )


def _of_a_bake(item: Leftover, rules: SweepRules) -> str:
    if item.id in rules.finishable and (not item.created or rules.now - item.created < FINISHED_WITHIN):
        return f"`capctl ami bake` can finish it, until it is {_text(FINISHED_WITHIN)} old"
    return ""


def _too_young(item: Leftover, rules: SweepRules) -> str:
    if item.created is None:
        return "nothing tells how old it is"
    age = rules.now - item.created
    return "" if age >= rules.older_than else f"it is younger than {_text(rules.older_than)}"


def _text(span: timedelta) -> str:
    return duration_text(span.total_seconds()).removesuffix("00m")
