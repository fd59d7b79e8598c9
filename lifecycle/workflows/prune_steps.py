"""The steps of a prune. Each reads everything anew right before it changes anything, and lets what is wanted again be."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord, SnapshotRecord, Tag
from lifecycle.domain.moments import iso_text
from lifecycle.domain.retention import Fate
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.workflows.deregister import REMOVE_AMI, Removal, remove_ami, require_gone
from lifecycle.workflows.lookups import find_ami
from lifecycle.workflows.prune_world import READ_WORLD, decide_snapshots, read_world, rules_of, still
from lifecycle.workflows.withdraw import WITHDRAW, Withdrawal, require_withdrawn, withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """It stays after all."""

    why: str

    def __str__(self) -> str:
        return f"kept: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableAmi:
    """Withdraw an AMI that nobody uses, and mark when that was."""

    ports: Ports
    target: Target
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_WORLD, *WITHDRAW)

    def describe(self) -> str:
        return f"disable {self.ami.id}, which nobody uses"

    def apply(self) -> Withdrawal | Kept:
        kept = _kept(self.ports, self.target, self.ami, Fate.DISABLE)
        return kept or withdraw(self.ports, self.target, self.ami.id)

    def verify(self, result: Withdrawal | Kept) -> None:
        if isinstance(result, Withdrawal):
            require_withdrawn(self.ports.amis, self.ami.id, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeregisterAmi:
    """Remove an AMI, disabled since the grace began, that still nobody uses, and its snapshots."""

    ports: Ports
    target: Target
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_WORLD, *REMOVE_AMI)

    def describe(self) -> str:
        return f"deregister {self.ami.id}, which nobody uses, with its snapshots"

    def apply(self) -> Removal | Kept:
        return _kept(self.ports, self.target, self.ami, Fate.DEREGISTER) or remove_ami(self.ports.amis, self.ami)

    def verify(self, result: Removal | Kept) -> None:
        if isinstance(result, Removal):
            require_gone(self.ports.amis, self.ami, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSnapshot:
    """Mark a snapshot whose AMI is gone: its grace begins."""

    ports: Ports
    target: Target
    snapshot: SnapshotRecord
    permissions: tuple[str, ...] = (*READ_WORLD, "ec2:CreateTags", "ec2:DescribeSnapshots")

    def describe(self) -> str:
        return f"mark {self.snapshot.id}, whose AMI {self.snapshot.ami_id} is gone"

    def apply(self) -> str | Kept:
        if kept := _snapshot_kept(self.ports, self.target, self.snapshot, Fate.MARK):
            return kept
        self.ports.amis.tag_snapshot(self.snapshot.id, {Tag.DISABLED_AT.value: iso_text(self.ports.clock.now())})
        return "marked"

    def verify(self, result: str | Kept) -> None:
        found = self.ports.amis.snapshots([self.snapshot.id])
        if not isinstance(result, Kept) and any(Tag.DISABLED_AT not in snapshot.tags for snapshot in found):
            raise CapctlError(
                "tags-not-set",
                f"Snapshot `{self.snapshot.id}` has no tag `{Tag.DISABLED_AT}` after it was set",
                hint="Run the same command again",
                may_pass=True,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshot:
    """Delete a snapshot whose AMI is gone and that nobody uses, once its grace has passed."""

    ports: Ports
    target: Target
    snapshot: SnapshotRecord
    permissions: tuple[str, ...] = (*READ_WORLD, "ec2:DeleteSnapshot", "ec2:DescribeSnapshots")

    def describe(self) -> str:
        return f"delete {self.snapshot.id}, whose AMI {self.snapshot.ami_id} is gone"

    def apply(self) -> str | Kept:
        if kept := _snapshot_kept(self.ports, self.target, self.snapshot, Fate.DELETE):
            return kept
        return "deleted" if self.ports.amis.delete_snapshot(self.snapshot.id) else Kept(why="another AMI has it")

    def verify(self, result: str | Kept) -> None:
        if not isinstance(result, Kept) and self.ports.amis.snapshots([self.snapshot.id]):
            raise PartlyApplied(
                "snapshot-left",
                f"Snapshot `{self.snapshot.id}` is still there after it was deleted",
                hint="Run the same command again",
                may_pass=True,
            )


def _kept(ports: Ports, target: Target, ami: AmiRecord, fate: Fate) -> Kept | None:
    """Why the AMI stays, or None when its fate is the same as when the plan was made."""
    found = find_ami(ports.amis, ami.id)
    if found is None:
        return Kept(why="it is gone already")
    verdict = still(ports, target, found)
    return None if verdict.fate is fate else Kept(why="; ".join(verdict.reasons))


def _snapshot_kept(ports: Ports, target: Target, snapshot: SnapshotRecord, fate: Fate) -> Kept | None:
    found = ports.amis.snapshots([snapshot.id])
    if not found:
        return Kept(why="it is gone already")
    verdicts = decide_snapshots(ports, found, read_world(ports, target), rules_of(target, most=1))
    if any(verdict.fate is fate for verdict in verdicts):
        return None
    return Kept(why="; ".join(verdicts[0].reasons) if verdicts else "its AMI is there")
