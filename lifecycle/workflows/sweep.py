"""`ami sweep`: remove what bakes left behind that were killed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Tag, run_in_name
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_EVIDENCE, READ_LEFTOVERS, READ_STATE, REMOVE_LEFTOVERS
from lifecycle.domain.plan import Done, Plan, Step
from lifecycle.domain.sweep import KnownRun, Leftover, LeftoverKind, SweepRules, Verdict, judge_all
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.ports.leftovers import await_gone, still_there
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.bake_evidence import read_evidence, reporting_instances

PERMISSIONS = {"ami sweep": (*READ_LEFTOVERS, *READ_EVIDENCE, *READ_STATE)}


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
    """Remove what killed bakes left; with `run_id` only what is that run's.

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
    named = frozenset[str]().union(*(run.named for run in before.values()))
    found = ports.leftovers.find(named=named)
    # The runs last: whatever was found has a run that was known by then, or that ended well meanwhile.
    runs = {run.id: run for run in ports.bake_runs.known()}
    verdicts = tuple(
        verdict
        for verdict in judge_all(found, _rules(ports, target, found, runs, older_than))
        if run_id in {"", verdict.run_id}
    )
    chosen = [run for run in runs.values() if run_id in {"", run.id} and not run.is_alive(ports.clock.now())]
    steps: list[Step[Any]] = [EndRun(ports=ports, run=run) for run in chosen if run.is_held]
    steps += [RemoveLeftover(ports=ports, target=target, verdict=verdict) for verdict in verdicts if verdict.removes]
    if not run_id:
        steps += [RemoveFolder(ports=ports, path=path) for path in ports.bake_runs.folders()]
    kept = {verdict.run_id for verdict in verdicts if not verdict.removes and verdict.item.kind is not LeftoverKind.AMI}
    steps += [
        ForgetRun(
            ports=ports, run=run, made=tuple(one.item for one in verdicts if one.removes and one.run_id == run.id)
        )
        for run in chosen
        if run.id not in kept
    ]
    whose = f"run {run_id}" if run_id else "bakes that were killed"
    because = f"{counted(sum(one.removes for one in verdicts), 'thing')} in EC2 and {counted(len(chosen), 'dead run')} are left"
    if not steps:
        because = "nothing is left" if not verdicts else "everything that is left may still be needed"
    return verdicts, Plan(title=f"sweep what {whose} left", because=because, steps=tuple(steps), goes_on=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun:
    """Kill what is left of the processes of a run that has outlived its time."""

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

        how = Wait(shortest_s=0.05, longest_s=1.0, timeout_s=10.0)
        wait_for(
            is_held, lambda held: not held, how, self.ports.clock, timed_out=lambda _: still_there(self.describe())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLeftover:
    """Remove one thing in EC2 and wait until it is gone."""

    ports: Ports
    target: Target
    verdict: Verdict
    permissions: tuple[str, ...] = (*READ_LEFTOVERS, *READ_EVIDENCE, *REMOVE_LEFTOVERS)

    @property
    def item(self) -> Leftover:
        """What is removed."""
        return self.verdict.item

    def describe(self) -> str:
        verb = {LeftoverKind.INSTANCE: "terminate", LeftoverKind.AMI: "deregister"}.get(self.item.kind, "delete")
        return f"{verb} {self.item}, since {self.verdict.because}"

    def apply(self) -> str:
        if self.item.kind is LeftoverKind.AMI and self.ports.leftovers.exists(self.item):
            self._require_unfinished()
        self.ports.leftovers.remove(self.item)
        return "removed"

    def verify(self, _: str) -> None:
        await_gone(self.ports.leftovers, self.item, self.ports.clock)

    def _require_unfinished(self) -> None:
        """A bake may have finished it since it was looked at."""
        ami = self.ports.amis.get(AmiId(self.item.id))
        if not ami.is_unfinished:
            raise CapctlError(
                "ami-not-replaced",
                f"AMI `{ami.id}` is `{ami.state}` and {ami.status or 'not tagged'} by now, so it is not removed",
                hint=f"Look at it with `capctl ami show {ami.id}`",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFolder:
    """Remove a private folder of a dead run: the addresses in it let their reader download the models."""

    ports: Ports
    path: str
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"delete folder {self.path}"

    def apply(self) -> str:
        self.ports.bake_runs.remove_folder(self.path)
        return "removed"

    def verify(self, _: str) -> None:
        if self.path in self.ports.bake_runs.folders():
            raise still_there(f"folder {self.path}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRun:
    """Know a dead run no more, unless something that it made is still there."""

    ports: Ports
    run: KnownRun
    made: tuple[Leftover, ...]
    permissions: tuple[str, ...] = READ_LEFTOVERS

    def describe(self) -> str:
        return f"forget run {self.run.id}"

    def apply(self) -> str:
        found = self.ports.leftovers.find(named=self.run.named)
        left = [item for item in found if item.run_id == self.run.id and item.kind is not LeftoverKind.AMI]
        left += [item for item in self.made if self.ports.leftovers.exists(item)]
        if left:
            raise still_there(str(left[0]))
        self.ports.bake_runs.forget(self.run.id)
        return "forgotten"

    def verify(self, _: str) -> None:
        if any(run.id == self.run.id for run in self.ports.bake_runs.known()):
            raise still_there(f"run {self.run.id}")


def _rules(
    ports: Ports, target: Target, found: Iterable[Leftover], runs: dict[str, KnownRun], older_than: timedelta
) -> SweepRules:
    looked_up = [ports.amis.by_name(item.name) for item in found if item.kind is LeftoverKind.AMI]
    amis = [ami for ami in looked_up if ami]
    has_unmarked = any(item.instance_id and not item.project for item in found)
    released, unclear = _released(ports) if amis else (frozenset[str](), "")
    return SweepRules(
        project=target.project,
        now=ports.clock.now(),
        older_than=older_than,
        runs=runs,
        finishable={ami.id for ami in amis if _is_finishable(ports, target, ami)},
        released=released,
        own_instances=reporting_instances(ports, target) if has_unmarked else (),
        amis_unclear=unclear,
    )


def _released(ports: Ports) -> tuple[frozenset[str], str]:
    """The AMIs of releases, and why they cannot be told."""
    try:
        return frozenset(release.ami_id for release in ports.stack.releases()), ""
    except Interrupted:
        raise
    except CapctlError as error:
        return frozenset(), error.message


def _is_finishable(ports: Ports, target: Target, ami: AmiRecord) -> bool:
    """Whether a bake of the same content would go on with it: a forced one finds its AMI by the tags only."""
    is_found = Tag.BAKE_DIGEST in ami.tags or run_in_name(target.project, ami.name) == ""
    return is_found and not ami.state.is_dead and read_evidence(ports.amis, ports.objects, target, ami) is not None
