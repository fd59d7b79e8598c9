"""Move the pointer back to an earlier release; nothing is rebuilt."""

from lifecycle.domain.permissions import READ_POINTER, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import promoted_ids
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import active_pointer, release_among
from lifecycle.workflows.move_pointer import MovePointer

PERMISSIONS = {"rollback": (*READ_POINTER, *READ_STATE)}


def plan_rollback(ports: Ports, run: Run, *, to: str | None) -> Plan:
    """One conditional write; `to` None means the release before the active one.

    Raises `CapctlError("pointer-missing" | "previous-missing" | "release-missing")`, and `UsageError("rollback-unclear")` when `to`
    is None and the release before the active one was deployed later: going there would undo a rollback.
    """
    pointer = active_pointer(ports)
    release_id = to or pointer.previous_release_id
    if not release_id:
        raise CapctlError(
            "previous-missing",
            f"Release `{pointer.release_id}` is the first one, there is nothing to go back to",
            hint="Name a release with `--to`; `capctl status` lists them",
        )
    if release_id == pointer.release_id:
        return Plan(title=f"roll back to release {release_id}", because=f"release {release_id} is active already")
    releases = ports.stack.releases()
    release_among(releases, release_id)
    if not to:
        _require_earlier(release_id, than=pointer.release_id, among=promoted_ids(releases, pointer))
    return Plan(
        title=f"roll back to release {release_id}",
        because=f"release {pointer.release_id} is active and {release_id} was asked for"
        if to
        else f"release {release_id} was active before {pointer.release_id}",
        steps=(MovePointer(ports=ports, run=run, release_id=release_id, seen=pointer, is_rollback=True),),
    )


def _require_earlier(release_id: str, *, than: str, among: tuple[str, ...]) -> None:
    if than in among and release_id not in among[: among.index(than)]:
        raise UsageError(
            "rollback-unclear",
            f"The pointer was moved back already: release `{release_id}`, which took jobs before, was deployed after the active `{than}`",
            hint=f"Name the release: `--to {release_id}` goes forward again; `capctl status` lists the others",
        )
