"""One change of what is deployed at a time, and everybody sees what became of a deployment."""

from dataclasses import replace
from types import TracebackType
from typing import Any

from lifecycle.domain.deployment import WATCH_ON, Deployment, Outcome, Stage
from lifecycle.domain.digest import canonical_json
from lifecycle.domain.plan import Step
from lifecycle.domain.release import Pointer, Release
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, Inconclusive, Interrupted, RolledBack
from lifecycle.ports import Ports
from lifecycle.workflows.move_jobs import RestoreJobs
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.release_steps import CreateRelease, OpenRelease, WaitValid
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.remove_releases import PruneReleases, RemoveRelease
from lifecycle.workflows.restore_pointer import RestorePointer
from lifecycle.workflows.smoke import Smoke
from lifecycle.workflows.smoke_video import StoreClip
from lifecycle.workflows.turn_guard import TurnGuard
from lifecycle.workflows.watch import Watch

# Deployments among which one is looked for that left a bad release where it was: so many do not all fail after it.
_LOOKED_AT = 20

# The stage that begins with a step; others belong to that of the step before.
_STAGES: dict[type[Step[Any]], Stage] = {
    StoreClip: Stage.UP,
    TagImage: Stage.UP,
    CreateRelease: Stage.UP,
    OpenRelease: Stage.UP,
    WaitValid: Stage.WAIT_VALID,
    Smoke: Stage.SMOKE,
    MovePointer: Stage.PROMOTE,
    Watch: Stage.WATCH,
    PruneReleases: Stage.DRAIN,
    RestorePointer: Stage.CLEAN,
    RestoreJobs: Stage.CLEAN,
    RemoveRelease: Stage.CLEAN,
}


def last_deployments(ports: Ports) -> tuple[Deployment, ...]:
    """The newest deployments that were recorded, newest first."""
    return ports.deployments.recent(_LOOKED_AT)


class DeploymentGuard(TurnGuard):
    """Holds the turn, and records which stage begins, before anything of it is done.

    `pointer` is the one that the plan was made for, and `ends_as` what the plan comes to that ends well. The dead letters are counted
    right before the promotion and recorded with its stage, for the watch and for whoever goes on with that; `promoted_by` is the run
    whose promotion this one goes on with or takes back, and `dead_letters` what it counted.
    """

    def __init__(
        self,
        ports: Ports,
        run: Run,
        release: Release,
        pointer: Pointer | None,
        *,
        ends_as: Outcome = Outcome.PROMOTED,
        promoted_by: str = "",
        dead_letters: int | None = None,
    ) -> None:
        super().__init__(ports, run)
        self._release = release
        self._seen = pointer
        self._ends_as = ends_as
        self._promoted_by = promoted_by
        self._dead_letters = dead_letters
        self._deployment: Deployment | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end(error)
        finally:
            super().__exit__(kind, error, trace)
        # One that came while the former state was restored tells of that itself.
        if isinstance(error, Interrupted) and not error.is_verdict and self._deployment:
            raise _told_where(error, self._deployment) from error

    def before(self, step: Step[Any]) -> None:
        super().before(step)
        assert self._turn is not None, "the turn was taken on entering"
        known = self._deployment
        stage = _STAGES.get(type(step)) or (known and known.stage) or Stage.UP
        if known and known.stage is stage:
            return
        if stage is Stage.PROMOTE:
            self._dead_letters = self._ports.dead_letters.count()
        known = known or Deployment(
            number=self._turn.number,
            holder=self._turn.holder,
            reason=self._run.reason,
            release_id=self._release.id,
            record=canonical_json(self._release.record).decode(),
            replaces=self._seen.release_id if self._seen else "",
            seen_version=self._seen.version if self._seen else 0,
            promoted_by=self._promoted_by,
        )
        stages = (*known.stages, (stage, self._now()))
        self._write(replace(known, stages=stages, dead_letters=self._dead_letters))

    def _end(self, error: BaseException | None) -> None:
        if self._deployment is None:
            return
        code, why = (error.code, error.message) if isinstance(error, CapctlError) else ("", "")
        if error and not code:
            code, why = "bug", type(error).__name__
        ended = replace(self._deployment, outcome=self._outcome(error), ended_at=self._now(), error=code, why=why)
        try:
            self._write(ended)
        except Interrupted:
            raise
        except CapctlError as unwritten:
            # What happened has happened; for others the deployment looks like one that was killed.
            self._ports.ui.warn(f"The end of deployment {self._deployment.number} is not recorded: {unwritten.message}")

    def _outcome(self, error: BaseException | None) -> Outcome:
        if error is None:
            return self._ends_as
        if isinstance(error, RolledBack):
            return Outcome.ROLLED_BACK
        if isinstance(error, CapctlError) and error.is_verdict:
            return Outcome.FAILED
        if isinstance(error, CapctlError) and error.code == "pointer-moved":
            return Outcome.OVERTAKEN
        return Outcome.INCONCLUSIVE if isinstance(error, Inconclusive) else Outcome.ABORTED

    def _write(self, deployment: Deployment) -> None:
        self._ports.deployments.write(deployment)
        self._deployment = deployment

    def _now(self) -> str:
        return self._ports.clock.now().isoformat(timespec="seconds")


def _told_where(signal: Interrupted, deployment: Deployment) -> Interrupted:
    """The interruption with what it means for the jobs: whether the pointer had moved, and the ways from there."""
    release_id, stage = deployment.release_id, deployment.stage
    if stage is Stage.WATCH:
        what, way = "it takes jobs, unwatched", WATCH_ON
    elif stage in {Stage.UP, Stage.WAIT_VALID, Stage.SMOKE}:
        what, way = "the pointer was not moved", "The same command, or `capctl deploy --resume`, goes on"
    elif stage is Stage.CLEAN:
        what, way = "it may take jobs still", "`capctl deploy --resume` takes it back"
    elif stage is Stage.DRAIN:
        what, way = "it takes jobs, and was watched to the end", "The same command does what is left"
    else:
        what, way = "the pointer may have moved", "`capctl status` tells, and names the way on"
    return Interrupted(
        signal.code,
        f"{signal.message} in stage `{stage}` of release `{release_id}`: {what}",
        hint=way,
        details=signal.details,
        evidence=signal.evidence,
    )
