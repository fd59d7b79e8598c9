"""Move the pointer back to an earlier release; nothing is rebuilt."""

from lifecycle.domain.permissions import READ_POINTER, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.promote import MovePointer, active_pointer, deployed_release

PERMISSIONS = {"rollback": (*READ_POINTER, *READ_STATE)}


def plan_rollback(ports: Ports, run: Run, *, to: str | None) -> Plan:
    """One conditional write; `to` None means the release before the active one.

    Raises `CapctlError("pointer-missing" | "previous-missing" | "release-missing")`.
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
    deployed_release(ports, release_id)
    move = MovePointer(ports=ports, run=run, release_id=release_id, now=pointer)
    return Plan(
        title=f"roll back to release {release_id}",
        because=f"release {pointer.release_id} is active and {release_id} was asked for"
        if to
        else f"release {release_id} was active before {pointer.release_id}",
        steps=(move,),
    )
