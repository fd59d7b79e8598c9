"""Run a plan: each step is written to the journal, applied, read back, and its outcome written."""

from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from lifecycle.domain.plan import Done, Nothing, Plan, Step
from lifecycle.domain.run import Run
from lifecycle.domain.waiting import READ_BACK
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied, RolledBack
from lifecycle.ports import Ports
from lifecycle.ports.journal import BEGUN, JournalEntry
from lifecycle.ports.wait import until_it_passes

T = TypeVar("T")


def execute(plan: Plan, ports: Ports, run: Run) -> Done:
    """Apply every step of `plan`; returns what came of each.

    When a step ends in a verdict and the plan has undo steps they are applied, and `RolledBack` is raised from the failure (or
    `PartlyApplied`, when an undo step fails too, and `Interrupted`, when a signal ends it). After any other failure the next run goes
    on from what is there. What fails after the last step is a warning.
    """
    if not plan.steps:
        ports.ui.note(f"{plan.title}: {plan.because}")
    with plan.guard if plan.guard and plan.steps else nullcontext():
        return _execute(plan, ports, run)


def _execute(plan: Plan, ports: Ports, run: Run) -> Done:
    results: list[tuple[Step[Any], Any]] = []
    failures: list[tuple[Step[Any], CapctlError]] = []
    for step in plan.steps:
        try:
            results.append((step, _apply(step, plan, ports, run)))
        except CapctlError as failure:
            if plan.goes_on and not isinstance(failure, Interrupted):
                ports.ui.warn(f"{step.describe()}: {failure.message}")
                failures.append((step, failure))
                continue
            if not failure.is_verdict or not plan.undo:
                raise
            if not _undo(plan, failure, ports, run):
                raise
            raise RolledBack(
                failure.code,
                f"{failure.message}; the former state is back in place",
                hint=failure.hint,
                details=failure.details,
                evidence=failure.evidence,
            ) from failure
    for step in plan.after:
        try:
            results.append((step, _apply(step, plan, ports, run)))
        except Interrupted:
            raise
        except CapctlError as failure:
            ports.ui.warn(f"What was done stands, but this failed: {step.describe()}: {failure.message}")
            failures.append((step, failure))
    return Done(results=tuple(results), failures=tuple(failures))


def _apply(step: Step[T], plan: Plan, ports: Ports, run: Run) -> T:
    def write(outcome: str) -> None:
        ports.journal.append(
            JournalEntry(
                at=ports.clock.now().isoformat(timespec="seconds"),
                run_id=run.id,
                user=run.user,
                command=run.command,
                step=step.describe(),
                outcome=outcome,
                why=run.reason or plan.because,
            )
        )

    def write_end(outcome: str) -> None:
        # What happened has happened: a journal that cannot be written changes nothing about it.
        try:
            write(outcome)
        except Interrupted:
            raise
        except CapctlError as unwritable:
            ports.ui.warn(unwritable.message)

    if plan.guard and plan.steps:
        plan.guard.before(step)
    # Before the change, so that a journal that cannot be written stops it, and a kill leaves a line.
    write(BEGUN)
    try:
        with ports.ui.step(step.describe()) as report:
            result = step.apply()
            # What it reads may be from before the change.
            until_it_passes(partial(step.verify, result), READ_BACK, ports.clock)
            report.done(str(result))
    except BaseException as error:
        write_end(f"failed: {error.code if isinstance(error, CapctlError) else type(error).__name__}")
        raise
    write_end(str(result))
    return result


def _undo(plan: Plan, failure: CapctlError, ports: Ports, run: Run) -> bool:
    """Whether anything was there to undo."""
    ports.ui.warn(f"`{failure.code}`, so the former state is restored")
    results = []
    for step in plan.undo:
        try:
            results.append(_apply(step, plan, ports, run))
        except Interrupted as signal:
            raise Interrupted(
                signal.code,
                f"{failure.message}; the command was interrupted before the former state was back: {step.describe()}",
                hint="Run the same command again: it goes on from what is there",
                details=(*failure.details, *signal.details),
                evidence=failure.evidence,
                verdict=True,
            ) from signal
        except CapctlError as error:
            raise PartlyApplied(
                error.code if isinstance(error, PartlyApplied) else "undo-failed",
                f"{failure.message}; restoring failed too: {error.message}",
                hint=error.hint or "Run the same command again",
                details=(*failure.details, *error.details),
                evidence=failure.evidence,
                verdict=True,
            ) from error
    return not all(isinstance(result, Nothing) for result in results)
