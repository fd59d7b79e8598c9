"""Move the pointer back to an earlier release; nothing is rebuilt."""

from functools import partial

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.permissions import READ_AMIS, READ_POINTER, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import promoted_ids
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.lookups import active_pointer, find_ami, release_among
from lifecycle.workflows.move_pointer import MovePointer

PERMISSIONS = {"rollback": (*READ_AMIS, *READ_POINTER, *READ_STATE)}


def plan_rollback(ports: Ports, run: Run, *, to: str | None) -> Plan:
    """One conditional write; `to` None means the release before the active one.

    Raises `CapctlError("pointer-missing" | "previous-missing" | "release-missing")`, `CapctlError("ami-not-startable")` for a release
    that could get no host, and `UsageError("rollback-unclear")` when `to` is None and the release before the active one was deployed
    later: going there would undo a rollback.
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
    release = release_among(releases, release_id)
    if not to:
        _require_earlier(release_id, than=pointer.release_id, among=promoted_ids(releases, pointer))
    require_ami = partial(_require_startable, ports.amis)
    if release.ami_id:  # its record may not say
        require_ami(release.ami_id)
    step = MovePointer(
        ports=ports, run=run, release_id=release_id, seen=pointer, require_ami=require_ami, is_rollback=True
    )
    return Plan(
        title=f"roll back to release {release_id}",
        because=f"release {pointer.release_id} is active and {release_id} was asked for"
        if to
        else f"release {release_id} was active before {pointer.release_id}",
        steps=(step,),
    )


def _require_startable(amis: Amis, ami_id: AmiId) -> None:
    """Raise `CapctlError("ami-not-startable")` unless Batch can start hosts from the AMI; nothing else of it counts in an emergency."""
    ami = find_ami(amis, ami_id)
    if ami is None or ami.is_off:
        another = "name another release with `capctl rollback --to …`, `capctl status` lists them"
        enable = f"run `capctl ami disable {ami_id} --undo`, or " if ami and ami.state is AmiState.DISABLED else ""
        hint = f"{enable}{another}"
        raise CapctlError(
            "ami-not-startable",
            f"The release is made of AMI `{ami_id}`, which is {f'`{ami.state}`' if ami else 'gone'}: its jobs would get no host",
            hint=hint[0].upper() + hint[1:],
        )


def _require_earlier(release_id: str, *, than: str, among: tuple[str, ...]) -> None:
    if than in among and release_id not in among[: among.index(than)]:
        raise UsageError(
            "rollback-unclear",
            f"The pointer was moved back already: release `{release_id}`, which took jobs before, was deployed after the active `{than}`",
            hint=f"Name the release: `--to {release_id}` goes forward again; `capctl status` lists the others",
        )
