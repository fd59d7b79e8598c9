"""The steps of a prune. Each proves right before it changes anything that nobody needs it, as `Scan` says, and lets what is wanted
again be."""

from dataclasses import dataclass

from lifecycle.domain.ami import AmiRecord, SnapshotRecord
from lifecycle.domain.moments import iso_text
from lifecycle.domain.retention import Fate
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, PartlyApplied
from lifecycle.workflows.deregister import REMOVE_AMI, Removal, remove_ami, require_gone
from lifecycle.workflows.lookups import find_ami
from lifecycle.workflows.prune_world import READ_WORLD, Scan, decide, decide_snapshots, rules_of
from lifecycle.workflows.uses import Kept
from lifecycle.workflows.withdraw import WITHDRAW, Withdrawal, require_withdrawn, withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableAmi:
    """Withdraw an AMI that nobody uses, and mark when that was."""

    scan: Scan
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_WORLD, *WITHDRAW)

    def describe(self) -> str:
        return f"disable {self.ami.id}, which nobody uses"

    def apply(self) -> Withdrawal | Kept:
        kept = _kept(self.scan, self.ami, Fate.DISABLE)
        return kept or withdraw(self.scan.ports, self.scan.target, self.ami.id, by="capctl ami prune")

    def verify(self, result: Withdrawal | Kept) -> None:
        if isinstance(result, Withdrawal):
            require_withdrawn(self.scan.ports.amis, self.ami.id, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeregisterAmi:
    """Remove an AMI, disabled since the grace began, that still nobody uses, and its snapshots."""

    scan: Scan
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_WORLD, *REMOVE_AMI)

    def describe(self) -> str:
        return f"deregister {self.ami.id}, which nobody uses, with its snapshots"

    def apply(self) -> Removal | Kept:
        return _kept(self.scan, self.ami, Fate.DEREGISTER) or remove_ami(self.scan.ports.amis, self.ami)

    def verify(self, result: Removal | Kept) -> None:
        if isinstance(result, Removal):
            require_gone(self.scan.ports.amis, self.ami, result)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSnapshot:
    """Mark a snapshot whose AMI is gone: its grace begins."""

    scan: Scan
    snapshot: SnapshotRecord
    permissions: tuple[str, ...] = (*READ_WORLD, "ec2:CreateTags", "ec2:DescribeSnapshots")

    def describe(self) -> str:
        return f"mark {self.snapshot.id}, whose AMI {self.snapshot.ami_id} is gone"

    def apply(self) -> str | Kept:
        if kept := _snapshot_kept(self.scan, self.snapshot, Fate.MARK):
            return kept
        self.scan.ports.amis.tag_snapshot(
            self.snapshot.id, {Tag.DISABLED_AT.value: iso_text(self.scan.ports.clock.now())}
        )
        return "marked"

    def verify(self, result: str | Kept) -> None:
        found = self.scan.ports.amis.snapshots([self.snapshot.id])
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

    scan: Scan
    snapshot: SnapshotRecord
    permissions: tuple[str, ...] = (*READ_WORLD, "ec2:DeleteSnapshot", "ec2:DescribeSnapshots")

    def describe(self) -> str:
        return f"delete {self.snapshot.id}, whose AMI {self.snapshot.ami_id} is gone"

    def apply(self) -> str | Kept:
        if kept := _snapshot_kept(self.scan, self.snapshot, Fate.DELETE):
            return kept
        return "deleted" if self.scan.ports.amis.delete_snapshot(self.snapshot.id) else Kept(why="another AMI has it")

    def verify(self, result: str | Kept) -> None:
        if not isinstance(result, Kept) and self.scan.ports.amis.snapshots([self.snapshot.id]):
            raise PartlyApplied(
                "snapshot-left",
                f"Snapshot `{self.snapshot.id}` is still there after it was deleted",
                hint="Run the same command again",
                may_pass=True,
            )


def _kept(scan: Scan, ami: AmiRecord, fate: Fate) -> Kept | None:
    """Why the AMI stays, or None when its fate is the same as when the plan was made."""
    found = find_ami(scan.ports.amis, ami.id)
    if found is None:
        return Kept(why="it is gone already")
    world = scan.world([found])
    (verdict,) = decide(scan.ports, [found], world, rules_of(scan.target, most=1))
    return None if verdict.fate is fate else Kept(why="; ".join(verdict.reasons), unread=world.report.unread)


def _snapshot_kept(scan: Scan, snapshot: SnapshotRecord, fate: Fate) -> Kept | None:
    found = scan.ports.amis.snapshots([snapshot.id])
    if not found:
        return Kept(why="it is gone already")
    world = scan.world(())
    verdicts = decide_snapshots(scan.ports, found, world, rules_of(scan.target, most=1))
    if any(verdict.fate is fate for verdict in verdicts):
        return None
    why = "; ".join(verdicts[0].reasons) if verdicts else "an AMI has it, or its own is there"
    return Kept(why=why, unread=world.report.unread)
