"""Move the pointer: the one write by which a release takes new jobs."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.domain.ami import AmiId
from lifecycle.domain.permissions import MOVE_POINTER, READ_AMIS, READ_STATE
from lifecycle.domain.release import Move, Place, Pointer, previous_id_after, promoted_ids
from lifecycle.domain.run import Run
from lifecycle.ports import Ports

# More than can exist: Batch allows 50 compute environments.
_REMEMBERED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePointer:
    """Point at a release, unless somebody else moved the pointer since the plan was made; `seen` is the pointer of that moment.

    `find` finds where its jobs go, right before the write; `require_ami` raises for an AMI that may not take jobs, an hour of smoke after
    the plan. `unfit` is the id of a release that proved bad: if it is the one that takes jobs now, a rollback leads to the one before it.
    """

    ports: Ports
    run: Run
    release_id: str
    seen: Pointer | None
    find: Callable[[], Place]
    require_ami: Callable[[AmiId], object]
    move: Move = Move.DEPLOY
    unfit: str = ""
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_STATE, *MOVE_POINTER)

    def describe(self) -> str:
        return f"pointer: {self.seen.release_id if self.seen else 'none'} -> {self.release_id}"

    def apply(self) -> Pointer:
        place, seen = self.find(), self.seen
        if place.ami_id:  # its record may not say
            self.require_ami(place.ami_id)
        # One that was mended is its own predecessor, and its resources may have got other names.
        previous_id = previous_id_after(seen, place.id, self.unfit)
        before = seen and (seen.place if seen.release_id == previous_id else seen.previous_place)
        moved = Pointer(
            version=(seen.version if seen else 0) + 1,
            release_id=place.id,
            ami_id=place.ami_id,
            job_queue_arn=place.job_queue_arn,
            job_definition_arn=place.job_definition_arn,
            previous_release_id=previous_id,
            previous_ami_id=before.ami_id if before else "",
            previous_job_queue_arn=before.job_queue_arn if before else "",
            previous_job_definition_arn=before.job_definition_arn if before else "",
            moved_at=self.ports.clock.now().isoformat(timespec="seconds"),
            moved_by=self.run.who,
            reason=self.run.reason,
            promoted=self._promoted(),
            move=self.move,
            run_id=self.run.id,
        )
        self.ports.pointers.move(moved, expected_version=moved.version - 1)
        return moved

    def verify(self, _: Pointer) -> None:
        """The write was made on the condition that nobody else had written, all of it or nothing; another look would show nothing more."""

    def _promoted(self) -> tuple[str, ...]:
        seen = self.seen
        before = seen.promoted or promoted_ids(self.ports.stack.releases(), seen) if seen else ()
        if self.move is not Move.DEPLOY and self.release_id in before:
            return before
        others = (release_id for release_id in before if release_id != self.release_id)
        return (*others, self.release_id)[-_REMEMBERED:]
