"""`ami sweep`: remove what bakes left behind that were killed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.bake_inputs import run_in_name
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_EVIDENCE, READ_GRANTS, READ_LEFTOVERS, REMOVE_LEFTOVERS
from lifecycle.domain.plan import Done, Plan, Step
from lifecycle.domain.sweep import KnownRun, Leftover, LeftoverKind, SweepRules, Verdict, half_made, judge_all
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import unread_text, uses_text
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.ports.baker import GRACE_S
from lifecycle.ports.leftovers import await_gone, still_there
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.ami_uses import READ_USES, UseScan, why_kept
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.lookups import find_ami

_JUDGE = (*READ_LEFTOVERS, *READ_EVIDENCE, *READ_USES, *READ_GRANTS)
PERMISSIONS = {"ami sweep": _JUDGE}
_USABLE = {LeftoverKind.AMI, LeftoverKind.SNAPSHOT}  # what launch templates and others may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What became of each leftover; `is_changed` if any step was done, `failures` are those of the others."""

    verdicts: tuple[Verdict, ...]
    is_changed: bool
    failures: tuple[tuple[Step[Any], CapctlError], ...] = ()

    def outcomes(self) -> tuple[tuple[Verdict, str], ...]:
        """Each verdict with what came of it: `removed`, `kept`, or `left` where the removal failed."""
        left = {step.item.id for step, _ in self.failures if isinstance(step, RemoveLeftover)}
        return tuple(
            (verdict, ("left" if verdict.item.id in left else "removed") if verdict.removes else "kept")
            for verdict in self.verdicts
        )

    def rejection(self) -> PartlyApplied | None:
        """What the sweep amounts to; None when all went that should."""
        if not self.failures:
            return None
        return PartlyApplied(
            "leftovers-left",
            f"{counted(len(self.failures), 'step')} of the sweep failed",
            hint="Run `capctl ami sweep` again; it goes on with what is left",
            details=tuple(f"{step.describe()}: {error.message}" for step, error in self.failures),
        )


def sweep(
    ports: Ports,
    target: Target,
    *,
    run_id: str,
    older_than: timedelta,
    carry_out: Callable[[Plan], Done | None],
) -> Swept | None:
    """Remove what killed bakes left; with `run_id` only what is that run's. Raises `CapctlError("run-unknown")`.

    `carry_out` executes the plan, or prints it and returns None: then nothing was removed, and None is returned.
    """
    verdicts, plan = plan_sweep(ports, target, run_id=run_id, older_than=older_than)
    for verdict in verdicts:
        if not verdict.removes:
            ports.ui.note(f"{verdict.item} stays: {verdict.because}")
    done = carry_out(plan)
    return Swept(verdicts=verdicts, is_changed=bool(done.results), failures=done.failures) if done else None


def plan_sweep(ports: Ports, target: Target, *, run_id: str, older_than: timedelta) -> tuple[tuple[Verdict, ...], Plan]:
    """A verdict on every leftover, and the plan that removes those that may go."""
    before = {run.id: run for run in ports.bake_runs.known()}
    found = ports.leftovers.find(named=_named(before.values()))
    # The runs last: whatever was found has a run that was known by then, or that ended well meanwhile.
    runs = {run.id: run for run in ports.bake_runs.known()}
    if run_id:
        _require_known(ports, run_id, runs, found)
    verdicts = tuple(
        verdict
        for verdict in _judged(UseScan(ports, target), found, runs, older_than=older_than)
        if run_id in {"", verdict.run_id}
    )
    chosen = [run for run in runs.values() if run_id in {"", run.id} and not run.is_alive(ports.clock.now())]
    steps: list[Step[Any]] = [EndRun(ports=ports, run=run) for run in chosen if run.is_held]
    going = tuple(verdict for verdict in verdicts if verdict.removes)
    # Another scan than the plan's: it waited for an answer.
    scan = UseScan(ports, target)
    steps += [RemoveLeftover(scan=scan, verdict=verdict, older_than=older_than) for verdict in going]
    folders = () if run_id else ports.bake_runs.folders()
    steps += [RemoveFolder(ports=ports, path=path) for path in folders]
    kept = {verdict.run_id for verdict in verdicts if not verdict.removes and verdict.item.kind is not LeftoverKind.AMI}
    if done := tuple(run for run in chosen if run.id not in kept):
        steps.append(ForgetRuns(ports=ports, runs=done, removed=going))
    whose = f"run {run_id}" if run_id else "bakes that were killed"
    numbers = {"thing": len(going), "dead run": len(chosen), "folder": len(folders)}
    left = ", ".join(counted(number, what) for what, number in numbers.items() if number)
    because = f"{left} {'is' if sum(numbers.values()) == 1 else 'are'} left"
    if not steps:
        because = "nothing is left" if not verdicts else "everything that is left may still be needed"
    return verdicts, Plan(title=f"sweep what {whose} left", because=because, steps=tuple(steps), goes_on=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun:
    """End what is left of the processes of a run that has outlived its time, and let them clean up."""

    ports: Ports
    run: KnownRun
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"end the processes of run {self.run.id}: {', '.join(map(str, self.run.holders)) or 'unknown'}"

    def apply(self) -> str:
        self.ports.bake_runs.end(self.run.id)
        return "ended"

    def verify(self, _: str) -> None:
        def is_held() -> bool:
            return any(run.is_held for run in self.ports.bake_runs.known() if run.id == self.run.id)

        how = Wait(shortest_s=0.05, longest_s=15.0, timeout_s=GRACE_S)
        wait_for(
            is_held, lambda held: not held, how, self.ports.clock, timed_out=lambda _: still_there(self.describe())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLeftover:
    """Remove one thing in EC2 and wait until it is gone."""

    scan: UseScan
    verdict: Verdict
    older_than: timedelta
    permissions: tuple[str, ...] = (*_JUDGE, *REMOVE_LEFTOVERS)

    @property
    def item(self) -> Leftover:
        """What is removed."""
        return self.verdict.item

    def describe(self) -> str:
        verb = {LeftoverKind.INSTANCE: "terminate", LeftoverKind.AMI: "deregister"}.get(self.item.kind, "delete")
        return f"{verb} {self.item}, since {self.verdict.because}"

    def apply(self) -> str:
        leftovers = self.scan.ports.leftovers
        if self.item.kind in _USABLE and leftovers.exists(self.item):
            self._require_unused()
        leftovers.remove(self.item)
        return "removed"

    def verify(self, _: str) -> None:
        await_gone(self.scan.ports.leftovers, self.item, self.scan.ports.clock)

    def _require_unused(self) -> None:
        """A bake may have gone on with it since it was looked at, or somebody may use it."""
        ports = self.scan.ports
        item: Leftover | None = self.item
        runs = {run.id: run for run in ports.bake_runs.known()}
        if self.item.kind is LeftoverKind.AMI:
            ami = ports.amis.get(AmiId(self.item.id))
            ami = replace(ami, source_instance=ports.amis.source_instance(ami))
            item = half_made(ami, self.scan.target.project, _named(runs.values()))
        found = (item,) if item else ()
        verdicts = _judged(self.scan, found, runs, older_than=self.older_than)
        if not any(verdict.removes for verdict in verdicts):
            because = verdicts[0].because if verdicts else "a bake has finished it"
            raise CapctlError(
                "leftover-needed",
                f"{self.item} is not removed: {because}",
                hint="`capctl ami prune` removes it once nobody needs it",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFolder:
    """Remove a private folder of a dead run: the addresses in it let their reader download the models."""

    ports: Ports
    path: str
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"delete folder {self.path}, which a bake of this user left whose processes have ended"

    def apply(self) -> str:
        self.ports.bake_runs.remove_folder(self.path)
        return "removed"

    def verify(self, _: str) -> None:
        if self.path in self.ports.bake_runs.folders():
            raise still_there(f"folder {self.path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRuns:
    """Know dead runs no more, those apart of which something is still there."""

    ports: Ports
    runs: tuple[KnownRun, ...]
    removed: tuple[Verdict, ...]
    permissions: tuple[str, ...] = READ_LEFTOVERS

    def describe(self) -> str:
        return f"forget {counted(len(self.runs), 'dead run')}: {', '.join(run.id for run in self.runs)}"

    def apply(self) -> str:
        found = self.ports.leftovers.find(named=_named(self.runs))
        left = {item.run_id: item for item in found if item.kind is not LeftoverKind.AMI}
        left |= {one.run_id: one.item for one in self.removed if self.ports.leftovers.exists(one.item)}
        for run in self.runs:
            if run.id not in left:
                self.ports.bake_runs.forget(run.id)
        if stays := [left[run.id] for run in self.runs if run.id in left]:
            raise still_there(str(stays[0]))
        return "forgotten"

    def verify(self, _: str) -> None:
        known = {run.id for run in self.ports.bake_runs.known()}
        if stays := [run.id for run in self.runs if run.id in known]:
            raise still_there(f"run {stays[0]}")


def _named(runs: Iterable[KnownRun]) -> frozenset[str]:
    return frozenset[str]().union(*(run.named for run in runs))


def _require_known(ports: Ports, run_id: str, runs: Mapping[str, KnownRun], found: Sequence[Leftover]) -> None:
    told = run_id in runs or any(item.run_id == run_id for item in found)
    if not told and all(entry.run_id != run_id for entry in ports.journal.entries()):
        raise CapctlError(
            "run-unknown",
            f"Nothing is known of a run `{run_id}`, neither here nor in EC2",
            hint="Run `capctl ami sweep --dry-run` to see the runs that left something",
        )


def _judged(
    scan: UseScan, found: Sequence[Leftover], runs: Mapping[str, KnownRun], *, older_than: timedelta
) -> tuple[Verdict, ...]:
    """The verdicts, once it was asked who uses the AMIs and snapshots that would otherwise go."""
    ports, target = scan.ports, scan.target
    rules = SweepRules(
        project=target.project,
        now=ports.clock.now(),
        older_than=older_than,
        runs=runs,
        finishable={item.id for item in found if _is_finishable(ports, target, item)},
    )
    verdicts = judge_all(found, rules)
    going = [verdict.item for verdict in verdicts if verdict.removes and verdict.item.kind in _USABLE]
    return judge_all(found, replace(rules, in_use=_uses(scan, going))) if going else verdicts


def _uses(scan: UseScan, items: Sequence[Leftover]) -> dict[str, tuple[str, ...]]:
    """Why it is not proven that nothing uses them, by id."""
    report = scan.uses()
    uses, found = report.by_id(), dict[str, tuple[str, ...]]()
    for item in items:
        if item.kind is not LeftoverKind.AMI:
            found[item.id] = (*unread_text(report.unread), *uses_text(uses.get(item.id, ())))
        elif ami := find_ami(scan.ports.amis, AmiId(item.id)):
            found[item.id] = why_kept(scan.ports, report, ami)
    return found


def _is_finishable(ports: Ports, target: Target, item: Leftover) -> bool:
    """Whether a bake of the same content would go on with it: a forced one finds its AMI by the tags only."""
    ami = find_ami(ports.amis, AmiId(item.id)) if item.kind is LeftoverKind.AMI else None
    if ami is None or ami.state.is_dead:
        return False
    is_found = Tag.BAKE_DIGEST in ami.tags or run_in_name(target.project, ami.name) == ""
    return is_found and read_evidence(ports.amis, ports.objects, target, ami) is not None
