"""Remove an AMI with its snapshots; a bake removes what it left, and none that anybody may use."""

from dataclasses import dataclass, replace

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.permissions import READ_AMIS, READ_GRANTS
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.ami_uses import READ_USES, all_uses, why_kept
from lifecycle.workflows.lookups import find_ami

REMOVE_AMI = ("ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:DescribeSnapshots")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """An AMI that was removed; `kept` are those of its snapshots that another AMI has, too."""

    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.kept:
            return AmiState.DEREGISTERED
        return f"{AmiState.DEREGISTERED}; {', '.join(self.kept)} stayed, which another AMI has"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregister:
    """Remove an AMI that has the name and cannot be proven; one that EC2 gave up, or that nothing uses."""

    ports: Ports
    target: Target
    amis: Amis
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_USES, *READ_GRANTS, *REMOVE_AMI)

    def describe(self) -> str:
        return f"deregister unproven AMI {self.ami.id}"

    def apply(self) -> Removal:
        if ami := self._still_there():
            require_unfinished(ami)
            if why := why_not_removed(self.ports, self.target, ami):
                raise _not_replaced(ami, f"it may be in use, so it is not replaced: {why[0]}")
            return remove_ami(self.amis, ami)
        return Removal()

    def verify(self, result: Removal) -> None:
        require_gone(self.amis, self.ami, result)

    def _still_there(self) -> AmiRecord | None:
        found = self.amis.by_name(self.ami.name)
        return found if found and found.id == self.ami.id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeregisterDead:
    """Remove an AMI of another region that EC2 gave up: nothing was ever started from it, so nobody is asked who uses it."""

    amis: Amis
    ami: AmiRecord
    region: str
    permissions: tuple[str, ...] = (*READ_AMIS, *REMOVE_AMI)

    def describe(self) -> str:
        return f"deregister {self.ami.id} in {self.region}, which EC2 gave up"

    def apply(self) -> Removal:
        found = find_ami(self.amis, self.ami.id)
        if found and not found.state.is_dead:
            raise _not_replaced(found, f"is `{found.state}` by now")
        return remove_ami(self.amis, found) if found else Removal()

    def verify(self, result: Removal) -> None:
        require_gone(self.amis, self.ami, result)


def remove_ami(amis: Amis, ami: AmiRecord) -> Removal:
    """Deregister an AMI and delete its snapshots. Raises `PartlyApplied("snapshot-left")`."""
    return Removal(kept=amis.deregister(ami.id))


def require_gone(amis: Amis, ami: AmiRecord, removal: Removal) -> None:
    """Read back that an AMI and its snapshots are gone. Raises `CapctlError("ami-not-removed" | "snapshot-left")`."""
    if left := find_ami(amis, ami.id):
        raise CapctlError(
            "ami-not-removed",
            f"AMI `{left.id}` is still `{left.state}`",
            hint="Run the same command again",
            may_pass=True,
        )
    gone = set(ami.snapshot_ids) - set(removal.kept)
    if snapshots := amis.snapshots(gone):
        raise PartlyApplied(
            "snapshot-left",
            f"AMI `{ami.id}` is deregistered, but its snapshots {', '.join(f'`{one.id}`' for one in snapshots)} are still there",
            hint="`capctl ami prune --apply` deletes those that carry the project's tag",
            may_pass=True,
        )


def require_unfinished(ami: AmiRecord) -> None:
    """Raise `CapctlError("ami-not-replaced")` for an AMI that is neither proven nor a bake's to finish or to replace."""
    status = ami.known_status()
    if status and status.is_withdrawn:
        raise _not_replaced(ami, f"was withdrawn: it is tagged {status}, and a bake does not bring it back")
    if not ami.is_unfinished:
        raise _not_replaced(ami, f"is {ami.standing()}; it may be in use, so it is not replaced")


def why_not_removed(ports: Ports, target: Target, ami: AmiRecord) -> tuple[str, ...]:
    """Why an AMI is not removed to free its name; empty for one that EC2 gave up, from which nothing was ever started.

    What somebody copied by hand is theirs, though it has the name.
    """
    if ami.state.is_dead:
        return ()
    if replace(ami, source_instance=ports.amis.source_instance(ami)).is_copied_by_hand:
        return (f"somebody copied it from {ami.source_ami}",)
    return why_kept(ports, all_uses(ports, target), ami)


def _not_replaced(ami: AmiRecord, why: str) -> CapctlError:
    return CapctlError(
        "ami-not-replaced",
        f"AMI `{ami.id}` has the name of this bake and {why}",
        hint=f"Look at it with `capctl ami show {ami.id}`; `capctl ami bake --force` makes another of the same content",
    )
