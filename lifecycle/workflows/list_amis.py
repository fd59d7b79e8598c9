"""`ami ls` and `ami show`: what was baked, what it costs and who uses it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.models import ModelFile
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_EVIDENCE, READ_GRANTS
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use, uses_of
from lifecycle.ports import Ports
from lifecycle.workflows.ami_uses import READ_PROJECT_USES, READ_USES, all_uses, grants_on, if_readable, project_uses
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.lookups import tell_of_dead_runs

PERMISSIONS = {
    "ami ls": (*READ_AMIS, *READ_PROJECT_USES, "ec2:DescribeSnapshots"),
    "ami show": (*READ_AMIS, *READ_GRANTS, *READ_CHANNEL, *READ_EVIDENCE, *READ_USES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAmi:
    """An AMI, and what is known of it elsewhere; `cost` is None when its snapshots are not ours."""

    ami: AmiRecord
    cost: Cost | None
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiList:
    """AMIs as they were `at` that moment; where something is `unread` they may have more uses."""

    amis: tuple[ListedAmi, ...]
    unread: tuple[Unread, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiDetails:
    """All that is known of one AMI; `files` are sorted by path, and None without a readable report of what it holds.

    `grants` say who else may start it or copy its snapshots, and are None where AWS does not tell, as of AMIs of others.
    """

    listed: ListedAmi
    snapshots: tuple[SnapshotRecord, ...]
    files: tuple[ModelFile, ...] | None
    grants: frozenset[Grant] | None
    unread: tuple[Unread, ...]


def list_amis(ports: Ports, target: Target, *, status: AmiStatus | None = None) -> AmiList:
    """The AMIs of the target's project, newest first, with what its releases and channels name; those of one status when it is given."""
    tell_of_dead_runs(ports)
    amis = [ami for ami in ports.amis.list(target.project) if status is None or ami.status == status]
    if not amis:
        return AmiList(amis=(), unread=(), at=ports.clock.now())
    snapshots = ports.amis.snapshots([snapshot for ami in amis for snapshot in ami.snapshot_ids])
    known = {snapshot.id: snapshot for snapshot in snapshots}
    report = project_uses(ports)
    uses = report.by_id()
    listed = tuple(
        ListedAmi(
            ami=ami,
            cost=_cost([known[one] for one in ami.snapshot_ids if one in known]),
            uses=uses_of(ami, uses),
        )
        for ami in amis
    )
    return AmiList(amis=listed, unread=report.unread, at=ports.clock.now())


def show_ami(ports: Ports, target: Target, ami_id: AmiId) -> AmiDetails:
    """One AMI, whoever made it, and everything of the account that uses it; raises `CapctlError("ami-missing")`."""
    ami = ports.amis.get(ami_id)
    snapshots = ports.amis.snapshots(ami.snapshot_ids)
    # What capctl did not bake has no report.
    found = read_evidence(ports.amis, ports.objects, target, ami) if ami.tags.get(Tag.BAKE_DIGEST) else None
    report = all_uses(ports, target)
    return AmiDetails(
        listed=ListedAmi(ami=ami, cost=_cost(snapshots), uses=uses_of(ami, report.by_id())),
        snapshots=snapshots,
        files=tuple(sorted(found[0].files, key=lambda file: file.path)) if found else None,
        grants=if_readable(lambda: grants_on(ports.amis, ami)),
        unread=report.unread,
    )


def _cost(snapshots: Collection[SnapshotRecord]) -> Cost | None:
    return monthly_usd(snapshots) if snapshots else None
