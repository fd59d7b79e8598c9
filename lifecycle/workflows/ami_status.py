"""An AMI's way through the statuses of its life, one step each."""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import TRANSITIONS, AmiStatus
from lifecycle.domain.permissions import READ_AMIS
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import READ_BACK
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.wait import until_it_passes
from lifecycle.workflows.lookups import own_ami


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The status of an AMI on which a smoke job has passed."""

    status: AmiStatus

    def __str__(self) -> str:
        return "tagged" if self.status is AmiStatus.SMOKE_PASSED else f"left as it is, {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSmokePassed:
    """Tag the AMI of a release on which a smoke job has passed; one that has come further keeps its status, and another
    project's is an error.

    What its life does not lead to counts when EC2 can no longer tell of it as it was before its last change.
    """

    ports: Ports
    target: Target
    ami_id: AmiId
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:CreateTags")

    def describe(self) -> str:
        return f"tag AMI {self.ami_id} as {AmiStatus.SMOKE_PASSED}"

    def apply(self) -> Marked:
        amis = self.ports.amis
        status = until_it_passes(
            lambda: set_status(amis, own_ami(amis, self.target, self.ami_id), AmiStatus.SMOKE_PASSED),
            READ_BACK,
            self.ports.clock,
            may_pass=lambda error: error.code == "ami-status-refused",
        )
        return Marked(status=status)

    def verify(self, result: Marked) -> None:
        require_tags(self.ports.amis.get(self.ami_id), {Tag.STATUS.value: result.status.value})


def set_status(amis: Amis, ami: AmiRecord, to: AmiStatus) -> AmiStatus:
    """Tag the AMI, unless another run took it further already; returns the status that it has then.

    Raises `CapctlError("ami-status-refused" | "ami-status-unknown")` when its life does not lead there.
    """
    kept = _kept(ami, to)
    if kept is None and _is_further(again := amis.get(ami.id), ami):
        # What another run set a moment ago not every endpoint of EC2 knows: a tag after the first look alone would take it back.
        kept = _kept(again, to)
    if kept is None:
        amis.tag(ami.id, {Tag.STATUS.value: to.value})
    return kept or to


def _kept(ami: AmiRecord, to: AmiStatus) -> AmiStatus | None:
    """The status that the AMI keeps, or None when it is to be tagged. Raises as `set_status`."""
    status = ami.known_status()
    if to in TRANSITIONS[status]:
        return None
    if status is None or (status is not to and (status.is_withdrawn or not status.is_at_least(to))):
        raise status_refused(ami, to)
    return status


def _is_further(ami: AmiRecord, before: AmiRecord) -> bool:
    """Whether a second look saw a later status of the AMI than the first."""
    status, first = ami.known_status(), before.known_status()
    return status is not None and (first is None or status.is_at_least(first))


def status_refused(ami: AmiRecord, to: AmiStatus) -> CapctlError:
    """The error for an AMI whose life does not lead to the status."""
    status = ami.known_status()
    return CapctlError(
        "ami-status-refused",
        f"AMI `{ami.id}` is {status or 'not tagged'} and cannot become {to}",
        hint="Run `capctl ami bake --force` for another AMI of the same content"
        if status and status.is_withdrawn
        else f"Next it can become {' or '.join(sorted(TRANSITIONS[status]))}; `capctl ami verify {ami.id}` says what it lacks",
    )


def require_tags(ami: AmiRecord, tags: Mapping[str, str]) -> None:
    """Compare the tags of an AMI that was read again with those that were set. Raises `CapctlError("tags-not-set")`."""
    wrong = [key for key, value in tags.items() if ami.tags.get(key) != value]
    if wrong:
        found = ami.tags.get(wrong[0])
        raise CapctlError(
            "tags-not-set",
            f"AMI `{ami.id}` has {f'tag `{wrong[0]}={found}`' if found else f'no tag `{wrong[0]}`'} after another was set",
            hint="Look at it with `capctl ami show`, then run the same command again",
            may_pass=True,
        )


def require_snapshot_tags(amis: Amis, ami: AmiRecord, tags: dict[str, str]) -> None:
    """Read tags back on every snapshot that the AMI alone has. Raises `CapctlError("tags-not-set")`."""
    found = {snapshot.id: snapshot.tags for snapshot in amis.snapshots(ami.snapshot_ids)}
    for snapshot_id in ami.sole_snapshots(amis.holders(ami.snapshot_ids)):
        if lacking := [key for key, value in tags.items() if found.get(snapshot_id, {}).get(key) != value]:
            raise CapctlError(
                "tags-not-set",
                f"Snapshot `{snapshot_id}` of AMI `{ami.id}` does not have tag `{lacking[0]}` as it was set",
                hint="Run the same command again",
                may_pass=True,
            )
