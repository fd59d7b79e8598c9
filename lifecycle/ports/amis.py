"""AMIs in one region of one account."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord


class Amis(Protocol):
    """Errors: `Denied`, `CapctlError("ami-missing")`."""

    def resolve_base(self, reference: str) -> AmiId:
        """The AMI that an id or an SSM parameter name (`/aws/service/…`) means at this moment."""

    def get(self, ami_id: AmiId) -> AmiRecord:
        """One AMI; raises `CapctlError("ami-missing")`."""

    def by_name(self, name: str) -> AmiRecord | None:
        """Our own AMI with this name, in whatever state but `deregistered`: that one's name is free."""

    def list(self, project: str) -> tuple[AmiRecord, ...]:
        """Our own AMIs of a project, newest first."""

    def snapshots(self, ids: Collection[str]) -> tuple[SnapshotRecord, ...]:
        """Those of the snapshots that exist and are ours."""

    def snapshots_of(self, project: str) -> tuple[SnapshotRecord, ...]:
        """Our own snapshots that carry the project's tag, whether or not an AMI has them."""

    def stray_snapshots(self) -> tuple[SnapshotRecord, ...]:
        """Our own snapshots without any tag that EC2 made for an AMI that is gone, and that no AMI has: nothing tells whose they are."""

    def tag_snapshot(self, snapshot_id: str, tags: dict[str, str]) -> None:
        """Set tags on one snapshot."""

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot, or find it gone; False when an AMI has it, so that it stays."""

    def source_instance(self, ami: AmiRecord) -> str:
        """The id of the instance that the AMI was made from, or "" for one that no instance gave; its snapshots tell what it does not."""

    def holders(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[AmiId]]:
        """Our own AMIs that have each of the snapshots, whichever project's they are."""

    def tag(self, ami_id: AmiId, tags: dict[str, str]) -> None:
        """Set tags on the AMI and on its snapshots, but for those that another AMI has, too."""

    def untag(self, ami_id: AmiId, keys: Collection[str]) -> None:
        """Take tags off the AMI and off the snapshots that `tag` reaches; one that is not there is no failure."""

    def require_imds_v2(self, ami_id: AmiId) -> None:
        """Require IMDSv2 on instances of this AMI."""

    def deprecate(self, ami_id: AmiId, at: datetime | None) -> None:
        """Advise against the AMI from `at` on, to the minute; None takes the advice back. Nothing stops working."""

    def disable(self, ami_id: AmiId) -> None:
        """Let nobody start instances of the AMI, whatever names it; takes its grants away, and those of its snapshots but for such that
        another AMI has, too. Repeating it changes nothing."""

    def enable(self, ami_id: AmiId) -> None:
        """Let the account start instances of a disabled AMI again. Repeating it changes nothing."""

    def grants(self, ami_id: AmiId) -> frozenset[Grant]:
        """Who else may start instances of the AMI."""

    def require_shareable(self, ami_id: AmiId) -> None:
        """Raises `CapctlError("ami-not-shareable")` for an AMI whose snapshots are encrypted with the account's default key, as
        `change_grants` does; nothing where the caller may not ask which key that is."""

    def change_grants(self, ami_id: AmiId, *, add: Collection[Grant] = (), remove: Collection[Grant] = ()) -> None:
        """Let others start instances of the AMI, or no longer; accounts may copy its snapshots just as long. What is so already stays.

        Raises `CapctlError("ami-not-shareable")` for an AMI whose snapshots are encrypted with the account's default key.
        """

    def snapshot_grants(self, snapshot_ids: Collection[str]) -> dict[str, frozenset[Grant]]:
        """Who else may copy each of our own snapshots: accounts, or everybody."""

    def copy_from(self, region: str, ami: AmiRecord, *, tags: dict[str, str]) -> AmiId:
        """Begin to copy an AMI of another region into this one, under its name; the copy and its snapshots carry `tags` from the
        first moment. Raises `AmiNameTaken` when an AMI here has that name already."""

    def deregister(self, ami_id: AmiId) -> tuple[str, ...]:
        """Remove the AMI and its snapshots; returns those that stay because another AMI has them.

        Raises `PartlyApplied("snapshot-left")` when one could not be deleted, after every other was tried.
        """
