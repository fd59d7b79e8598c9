"""Take an AMI out of use so that it can be brought back: what `ami disable` and a prune have in common."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, Grant
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.moments import iso_text
from lifecycle.domain.permissions import READ_AMIS, READ_GRANTS
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.ami_status import require_snapshot_tags, require_tags
from lifecycle.workflows.ami_uses import grants_on

WITHDRAW = (
    *READ_AMIS,
    *READ_GRANTS,
    "ec2:CreateTags",
    "ec2:DeleteTags",
    "ec2:DescribeSnapshots",
    "ec2:DisableImage",
    "ec2:ModifySnapshotAttribute",
)
_TAG_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """An AMI that was withdrawn, the tags that say so, and who had a grant, which does not come back."""

    tags: dict[str, str]
    taken: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{AmiStatus.DISABLED}; taken from {', '.join(self.taken)}" if self.taken else AmiStatus.DISABLED


def withdraw(ports: Ports, target: Target, ami_id: AmiId, *, by: str, reason: str = "") -> Withdrawal:
    """Let nobody start instances of the AMI, take its grants and those of its snapshots away, and tag both with when that was, by whom
    and why.

    One that was off and withdrawn when this began keeps the moment that it tells, and who it was. Any other loses them before it is
    disabled and gets the present ones afterwards: killed in between, it tells none, and the next run gives it one.
    """
    before, taken = ports.amis.get(ami_id), frozenset[Grant]()
    if not before.withdrawn_since:
        ports.amis.untag(ami_id, [Tag.DISABLED_AT.value, Tag.DISABLED_BY.value])
    # EC2 disables only what works; from an AMI that it gave up nothing can be started anyway.
    if not before.state.is_dead:
        taken = grants_on(ports.amis, before)
        ports.amis.disable(ami_id)
    who = before.tags.get(Tag.DISABLED_BY, "") if before.withdrawn_since else ""
    since = before.tags[Tag.DISABLED_AT] if before.withdrawn_since else iso_text(ports.clock.now())
    tags = {
        Tag.STATUS.value: AmiStatus.DISABLED.value,
        Tag.DISABLED_AT.value: since,
        Tag.DISABLED_BY.value: who or _tag_text(f"{by}: {reason}" if reason else by),
        # Its snapshots need it too: by it a prune finds them, should they outlive the AMI.
        Tag.PROJECT.value: target.project,
    }
    ports.amis.tag(ami_id, tags)
    return Withdrawal(tags=tags, taken=told_grants(taken))


def require_withdrawn(amis: Amis, ami_id: AmiId, withdrawal: Withdrawal) -> None:
    """Read the state, the grants and the tags back. Raises `CapctlError("ami-not-disabled" | "tags-not-set")`."""
    found = amis.get(ami_id)
    if not found.is_off:
        raise _not_disabled(ami_id, f"`{found.state}`")
    if not found.state.is_dead and (left := told_grants(grants_on(amis, found))):
        raise _not_disabled(ami_id, f"shared with `{left[0]}`")
    require_tags(found, withdrawal.tags)
    # Of an AMI that EC2 gave up there may be none.
    if found.state is AmiState.DISABLED:
        require_snapshot_tags(amis, found, withdrawal.tags)


def told_grants(grants: Iterable[Grant]) -> tuple[str, ...]:
    """Whom they are for, in the order of the alphabet."""
    return tuple(sorted(map(str, grants)))


def _tag_text(text: str) -> str:
    """On one line, and no longer than EC2 takes the value of a tag."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= _TAG_CHARACTERS else f"{line[: _TAG_CHARACTERS - 1]}…"


def _not_disabled(ami_id: AmiId, what: str) -> CapctlError:
    return CapctlError(
        "ami-not-disabled",
        f"AMI `{ami_id}` is still {what} after it was disabled",
        hint="Run the same command again",
        may_pass=True,
    )
