"""Move the pointer: the one write by which a release takes new jobs."""

from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.domain.ami import AmiId
from lifecycle.domain.permissions import READ_AMIS, READ_POINTER, READ_STATE
from lifecycle.domain.release import Pointer, promoted_ids
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import release_among

# More than can exist: Batch allows 50 compute environments.
_REMEMBERED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePointer:
    """Point at a release, unless somebody else moved the pointer since the plan was made; `seen` is the pointer of that moment.

    `require_ami` raises for an AMI that may not take jobs: it is asked right before the write, an hour of smoke after the plan.
    `is_rollback` says that the release was deployed before and is not deployed anew.
    """

    ports: Ports
    run: Run
    release_id: str
    seen: Pointer | None
    require_ami: Callable[[AmiId], object]
    is_rollback: bool = False
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_POINTER, *READ_STATE, "dynamodb:PutItem")

    def describe(self) -> str:
        return f"pointer: {self.seen.release_id if self.seen else 'none'} -> {self.release_id}"

    def apply(self) -> Pointer:
        releases = self.ports.stack.releases()
        release = release_among(releases, self.release_id)
        version, previous = (self.seen.version, self.seen.release_id) if self.seen else (0, "")
        if self.seen and previous == self.release_id:  # it was mended, and its resources may have got other names
            previous = self.seen.previous_release_id
        moved = Pointer(
            version=version + 1,
            release_id=self.release_id,
            previous_release_id=previous,
            job_queue_arn=release.job_queue_arn,
            job_definition_arn=release.job_definition_arn,
            moved_at=self.ports.clock.now().isoformat(timespec="seconds"),
            moved_by=self.run.user,
            reason=self.run.reason,
            promoted=self._promoted(promoted_ids(releases, self.seen)),
        )
        if release.ami_id:  # its record may not say
            self.require_ami(release.ami_id)
        self.ports.pointers.move(moved, expected_version=version)
        return moved

    def verify(self, _: Pointer) -> None:
        found = self.ports.pointers.read()
        if found is None or found.release_id != self.release_id:
            raise CapctlError(
                "pointer-moved",
                f"The pointer reads `{found.release_id if found else 'none'}` after it was moved to `{self.release_id}`",
                hint="Look at `capctl status`: somebody else moved it",
            )

    def _promoted(self, before: tuple[str, ...]) -> tuple[str, ...]:
        if self.is_rollback and self.release_id in before:
            return before
        others = (release_id for release_id in before if release_id != self.release_id)
        return (*others, self.release_id)[-_REMEMBERED:]
