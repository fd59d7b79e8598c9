"""Take an AMI out of use so that it can be brought back: what `ami disable` and a prune have in common."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiState, AmiStatus, Tag
from lifecycle.domain.moments import iso_text
from lifecycle.domain.permissions import READ_AMIS, READ_GRANTS
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.ami_status import require_snapshot_tags, require_tags

WITHDRAW = (
    *READ_AMIS,
    *READ_GRANTS,
    "ec2:CreateTags",
    "ec2:DescribeSnapshots",
    "ec2:DisableImage",
    "ec2:ModifySnapshotAttribute",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """An AMI that was withdrawn, and the tags that say so."""

    tags: dict[str, str]

    def __str__(self) -> str:
        return AmiStatus.DISABLED


def withdraw(ports: Ports, target: Target, ami_id: AmiId) -> Withdrawal:
    """Let nobody start instances of the AMI, take its grants and those of its snapshots away, and tag both with when that was.

    One that is withdrawn keeps the moment that it tells.
    """
    before = ports.amis.get(ami_id)
    # EC2 disables only what works; from an AMI that it gave up nothing can be started anyway.
    if not before.state.is_dead:
        ports.amis.disable(ami_id)
    # Afterwards, so that the grace never begins before it.
    since = before.tags[Tag.DISABLED_AT] if before.withdrawn_since else iso_text(ports.clock.now())
    tags = {
        Tag.STATUS.value: AmiStatus.DISABLED.value,
        Tag.DISABLED_AT.value: since,
        # Its snapshots need it too: by it a prune finds them, should they outlive the AMI.
        Tag.PROJECT.value: target.project,
    }
    ports.amis.tag(ami_id, tags)
    return Withdrawal(tags=tags)


def require_withdrawn(amis: Amis, ami_id: AmiId, withdrawal: Withdrawal) -> None:
    """Read the state, the grants and the tags back. Raises `CapctlError("ami-not-disabled" | "tags-not-set")`."""
    found = amis.get(ami_id)
    if not found.is_off:
        raise _not_disabled(ami_id, f"`{found.state}`")
    if not found.state.is_dead and (left := grants_on(amis, ami_id)):
        raise _not_disabled(ami_id, f"shared with `{left[0]}`")
    require_tags(found, withdrawal.tags)
    # Of an AMI that EC2 gave up there may be none.
    if found.state is AmiState.DISABLED:
        require_snapshot_tags(amis, found, withdrawal.tags)


def grants_on(amis: Amis, ami_id: AmiId) -> tuple[str, ...]:
    """Who else may start the AMI or copy its snapshots."""
    of_snapshots = amis.snapshot_grants(ami_id).values()
    return tuple(sorted({str(grant) for grant in amis.grants(ami_id).union(*of_snapshots)}))


def _not_disabled(ami_id: AmiId, what: str) -> CapctlError:
    return CapctlError(
        "ami-not-disabled",
        f"AMI `{ami_id}` is still {what} after it was disabled",
        hint="Run the same command again",
        may_pass=True,
    )
