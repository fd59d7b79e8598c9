"""Move the pointer: the one write by which a release takes new jobs."""

from dataclasses import dataclass

from lifecycle.domain.permissions import READ_POINTER, READ_STATE
from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePointer:
    """Point at a release, unless somebody else moved the pointer since the plan was made."""

    ports: Ports
    run: Run
    release_id: str
    now: Pointer | None
    permissions: tuple[str, ...] = (*READ_POINTER, *READ_STATE, "dynamodb:PutItem")

    def describe(self) -> str:
        return f"pointer: {self.now.release_id if self.now else 'none'} -> {self.release_id}"

    def apply(self) -> Pointer:
        release = deployed_release(self.ports, self.release_id)
        version = self.now.version if self.now else 0
        moved = Pointer(
            version=version + 1,
            release_id=self.release_id,
            previous_release_id=self.now.release_id if self.now else "",
            job_queue_arn=release.job_queue_arn,
            job_definition_arn=release.job_definition_arn,
            moved_at=self.ports.clock.now().isoformat(timespec="seconds"),
            moved_by=self.run.user,
            reason=self.run.reason,
        )
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


def active_pointer(ports: Ports) -> Pointer:
    """The pointer; raises `CapctlError("pointer-missing")` before the first promotion."""
    pointer = ports.pointers.read()
    if pointer is None:
        raise CapctlError("pointer-missing", "No release takes jobs yet", hint="Run `capctl deploy` first")
    return pointer


def deployed_release(ports: Ports, release_id: str) -> DeployedRelease:
    """The release with this id; raises `CapctlError("release-missing")` when its resources do not exist."""
    releases = ports.stack.releases()
    for release in releases:
        if release.id == release_id:
            return release
    known = ", ".join(f"`{release.id}`" for release in releases) or "none"
    raise CapctlError(
        "release-missing",
        f"Release `{release_id}` does not exist, its resources were pruned or never made; there are: {known}",
        hint="Deploy it again: `capctl deploy --ami … --image …`",
    )
