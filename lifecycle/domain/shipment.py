"""A release as CI makes it, in stages: the plan of each, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, ExitCode

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiId
    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.release import Pointer
    from lifecycle.domain.smoke import SmokeReport


class StageName(StrEnum):
    """The stages, in their order."""

    BAKE = "bake"
    PUSH = "push"
    DEPLOY = "deploy"
    PROMOTE = "promote"


class Outcome(StrEnum):
    """What came of a stage. `left-out`: the command line named its result, or nobody asked for it."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    LEFT_OUT = "left-out"
    NOT_REACHED = "not-reached"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    PARTLY_APPLIED = "partly-applied"
    ROLLED_BACK = "rolled-back"
    INTERRUPTED = "interrupted"

    @property
    def words(self) -> str:
        """For people."""
        return self.replace("-", " ")


_OUTCOMES = {
    ExitCode.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    ExitCode.PARTLY_APPLIED: Outcome.PARTLY_APPLIED,
    ExitCode.ROLLED_BACK: Outcome.ROLLED_BACK,
    ExitCode.INTERRUPTED: Outcome.INTERRUPTED,
}


def outcome_of(failure: CapctlError) -> Outcome:
    """What a failure makes of the stage in which it came."""
    return _OUTCOMES.get(failure.exit_code, Outcome.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What a stage will do. Unless it `is_known`, an earlier one decides its steps, and the plan's details tell what they will be."""

    name: StageName
    plan: Plan
    is_known: bool = True

    @property
    def is_idle(self) -> bool:
        """Whether it certainly changes nothing."""
        return self.is_known and self.plan.is_idle


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentPlan:
    """The plans of all stages, as far as they can be known before the first one begins."""

    title: str
    stages: tuple[StagePlan, ...]

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return all(stage.is_idle for stage in self.stages)

    @property
    def because(self) -> str:
        """Which stages have something to do, in one phrase."""
        busy = [f"`{stage.name}`" for stage in self.stages if not stage.is_idle]
        return f"there is something to do for {', '.join(busy)}" if busy else "everything is there already"

    @property
    def known(self) -> Plan:
        """All steps that are known, as one plan."""
        plans = [stage.plan for stage in self.stages]
        return Plan(
            title=self.title,
            because=self.because,
            steps=tuple(step for plan in plans for step in plan.steps),
            after=tuple(step for plan in plans for step in plan.after),
            undo=tuple(step for plan in plans for step in plan.undo),
        )

    def render(self) -> str:
        """The stages one below the other, for people."""
        lines = [f"Plan: {self.title}", f"  because {self.because}"]
        for stage in self.stages:
            _, *below = stage.plan.render().splitlines()
            lines += [f"Stage {stage.name}: {stage.plan.title}", *below]
            if stage.is_idle:
                lines.append("  nothing to do")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What came of a stage, and how long its plan and its steps took; `told` is that in a few words."""

    name: StageName
    outcome: Outcome
    seconds: float = 0.0
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What one run came to, or how far it came.

    `ami` and `image` are those of the release, None before they are known; `before` is the pointer as it was found, `after` as it is now,
    both None where there is none, or it could not be read. `source` is None where the image was named. `failure` ended the last stage.
    """

    stages: tuple[Stage, ...]
    release_id: str = ""
    ami: AmiId | None = None
    image: ImageRef | None = None
    source: Checkout | None = None
    before: Pointer | None = None
    after: Pointer | None = None
    smoke: SmokeReport | None = None
    warnings: tuple[str, ...] = ()
    failure: CapctlError | None = None

    @property
    def seconds(self) -> float:
        """How long all stages took."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def is_changed(self) -> bool:
        """Whether any stage that came to its end changed anything."""
        return any(stage.outcome is Outcome.CHANGED for stage in self.stages)

    @property
    def way_back(self) -> str:
        """The release that took jobs before this run moved the pointer; "" when it moved none, or there was none."""
        moved = self.before and self.after and self.before.release_id != self.after.release_id
        return self.before.release_id if self.before and moved else ""
