"""Move the pointer back to an earlier release; nothing is rebuilt."""

from functools import partial

from lifecycle.domain.ami import AmiId
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.deployment import recorded_release
from lifecycle.domain.permissions import READ_AMIS, READ_DEPLOYMENTS, READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Move, Place, Pointer, promoted_ids
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.lookups import active_pointer, deployed_release, find_ami
from lifecycle.workflows.move_pointer import MovePointer

# How long what EC2 said of an AMI counts.
_FRESH_S = 5.0
# Deployments among which the record of a release that is gone is looked for: as many as one answer holds.
_LOOKED_AT = 100

# With those of the look that follows the move, without which it is a warning.
PERMISSIONS = {"rollback": (*READ_AMIS, *READ_DEPLOYMENTS, *READ_POINTER, *READ_QUEUES, *READ_STATE)}


def plan_rollback(ports: Ports, run: Run, *, to: str | None) -> Plan:
    """One conditional write; `to` None means the release before the active one, which the pointer itself knows: Pulumi is not asked.

    Raises `CapctlError("pointer-missing" | "previous-missing" | "release-missing" | "release-unproven")`,
    `CapctlError("ami-not-startable")` for a release that could get no host, and `CapctlError("rollback-unclear")` when `to` is None and
    the release before the active one was deployed later: going there would undo a rollback.
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
    find = partial(_place, ports, pointer, release_id)
    place = find()
    among = pointer.promoted or promoted_ids(ports.stack.releases(), pointer)
    if not to:
        _require_earlier(release_id, than=pointer.release_id, among=among)
    elif release_id not in among:
        raise CapctlError(
            "release-unproven",
            f"Release `{release_id}` never took jobs: no deploy of it came to its end",
            hint="Deploy it, which proves it first: `capctl deploy --ami … --image …`",
        )
    if place.ami_id:  # its record may not say
        _require_startable(ports.amis, place.ami_id)
    asked_s = ports.clock.monotonic()

    def require_ami(ami_id: AmiId) -> None:
        # Somebody may have thought about the plan for an hour; otherwise the answer is still the same, and this is an emergency.
        if ports.clock.monotonic() - asked_s > _FRESH_S:
            _require_startable(ports.amis, ami_id)

    step = MovePointer(
        ports=ports,
        run=run,
        release_id=release_id,
        seen=pointer,
        find=find,
        require_ami=require_ami,
        move=Move.ROLLBACK,
    )
    return Plan(
        title=f"roll back to release {release_id}",
        because=f"release {pointer.release_id} is active and {release_id} was asked for"
        if to
        else f"release {release_id} was active before {pointer.release_id}",
        steps=(step,),
    )


def _place(ports: Ports, pointer: Pointer, release_id: str) -> Place:
    """Where the jobs of the release go. Raises `CapctlError("release-missing")`."""
    if release_id == pointer.previous_release_id and pointer.previous_place:
        return pointer.previous_place
    try:
        return deployed_release(ports, release_id).place
    except CapctlError as error:
        if error.code == "release-missing":
            error.hint = _way_to_make(ports, release_id) or error.hint
        raise


def _way_to_make(ports: Ports, release_id: str) -> str:
    """The command that makes a release again, by the newest record of it; "" where no record tells, or none can be read."""
    try:
        recent = ports.deployments.recent(_LOOKED_AT)
    except Interrupted:
        raise
    except CapctlError:
        return ""
    made = next(filter(None, (recorded_release(one.record) for one in recent if one.release_id == release_id)), None)
    if made is None:
        return ""
    return (
        f"Run `capctl deploy --ami {made.ami_id} --image {made.image.digest}`: it makes the release again, under that id if the `release` "
        "section of capctl.yaml is as it was then"
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
        raise CapctlError(
            "rollback-unclear",
            f"The pointer was moved back already: release `{release_id}`, which took jobs before, was deployed after the active `{than}`",
            hint=f"Name the release: `--to {release_id}` goes forward again; `capctl status` lists the others",
        )
