"""Take a promotion back."""

from dataclasses import dataclass, replace

from lifecycle.domain.permissions import MOVE_POINTER, READ_DEPLOYMENTS
from lifecycle.domain.plan import Nothing
from lifecycle.domain.release import Move, Pointer
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePointer:
    """Let the pointer name again what it named before it was moved to the release, its predecessor included.

    Where it does not name the release, or another run than `promoted_by` moved it there, there is nothing to take back. Raises
    `PartlyApplied("rollback-impossible")` for a release before which there was none.
    """

    ports: Ports
    run: Run
    release_id: str
    promoted_by: str
    permissions: tuple[str, ...] = (*READ_DEPLOYMENTS, *MOVE_POINTER)

    def describe(self) -> str:
        return f"take the pointer back from release {self.release_id}, if it is there"

    def apply(self) -> str:
        now = self.ports.pointers.read()
        if now is None or not self._is_ours(now):
            return Nothing("the pointer was not moved to it")
        former = self._former(now)
        restored = replace(
            former,
            version=now.version + 1,
            moved_at=self.ports.clock.now().isoformat(timespec="seconds"),
            moved_by=self.run.who,
            reason=self.run.reason,
            run_id=self.run.id,
            move=Move.RESTORE,
            # The one that goes took jobs, and a release that took jobs is never taken for a new one.
            promoted=now.promoted,
        )
        self.ports.pointers.move(restored, expected_version=now.version)
        return f"the pointer names {restored.release_id} again"

    def verify(self, _: str) -> None:
        found = self.ports.pointers.read()
        if found and self._is_ours(found):
            raise CapctlError(
                "pointer-moved",
                f"The pointer still names release `{self.release_id}`",
                hint="Run `capctl rollback`, or look at `capctl status` whether somebody else wants it there",
            )

    def _is_ours(self, pointer: Pointer) -> bool:
        return pointer.release_id == self.release_id and pointer.run_id == self.promoted_by

    def _former(self, now: Pointer) -> Pointer:
        former = next(iter(self.ports.pointers.past({now.version - 1})), None)
        if former and former.release_id == now.previous_release_id:
            return former
        # An earlier version of capctl kept no past, one that was mended is its own predecessor, and one that took the place of a bad one
        # does not remember that: the pointer itself knows the way back.
        place = now.previous_place
        if place is None or place.id == self.release_id:
            raise PartlyApplied(
                "rollback-impossible",
                f"Nothing is known of a release before `{self.release_id}` that could take its jobs",
                hint="Deploy another one, or name one with `capctl rollback --to …`; until then it stays where it is",
            )
        return replace(
            now,
            release_id=place.id,
            ami_id=place.ami_id,
            job_queue_arn=place.job_queue_arn,
            job_definition_arn=place.job_definition_arn,
            previous_release_id="",
            previous_ami_id="",
            previous_job_queue_arn="",
            previous_job_definition_arn="",
        )
