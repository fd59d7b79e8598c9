"""`ami disable`: withdraw an AMI so that nobody can start it, and the way back."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import TRANSITIONS, AmiId, AmiRecord, AmiState, AmiStatus, Tag
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_POINTER, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.ami_status import SetStatus, require_snapshot_tags, require_tags, status_refused
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.lookups import ami_named, own_ami
from lifecycle.workflows.no_users import require_no_users, uses_of

_READ_GRANTS = ("ec2:DescribeImageAttribute", "ec2:DescribeSnapshotAttribute")
PERMISSIONS = {"ami disable": (*READ_AMIS, *READ_CHANNEL, *READ_POINTER, *READ_STATE, *_READ_GRANTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableAmi:
    """Let nobody start the AMI any more, whatever names it, and take every grant away; `is_forced` asks nobody who uses it."""

    ports: Ports
    ami: AmiRecord
    is_forced: bool
    permissions: tuple[str, ...] = (
        *READ_AMIS,
        *READ_POINTER,
        *READ_STATE,
        *_READ_GRANTS,
        "ec2:DisableImage",
        "ec2:ModifySnapshotAttribute",
    )

    def describe(self) -> str:
        return f"disable {self.ami.id}: nobody can start it, and no account that had it keeps it"

    def apply(self) -> str:
        if not self.is_forced:
            require_no_users(self.ports, self.ami)
        self.ports.amis.disable(self.ami.id)
        return AmiState.DISABLED

    def verify(self, _: str) -> None:
        found = self.ports.amis.get(self.ami.id)
        if found.state is not AmiState.DISABLED or (left := grants_on(self.ports.amis, found.id)):
            why = f"`{found.state}`" if found.state is not AmiState.DISABLED else f"shared with `{left[0]}`"
            raise CapctlError(
                "ami-not-disabled",
                f"AMI `{found.id}` is still {why} after it was disabled",
                hint="Run the same command again",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDisabled:
    """Tag the AMI and its snapshots as disabled, and with when that was."""

    ports: Ports
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:CreateTags", "ec2:DescribeSnapshots")

    def describe(self) -> str:
        return f"tag {self.ami.name} as {AmiStatus.DISABLED}"

    def apply(self) -> str:
        found = self.ports.amis.get(self.ami.id)
        since = found.tags.get(Tag.DISABLED_AT) if found.status is AmiStatus.DISABLED else None
        at = since or self.ports.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.ports.amis.tag(self.ami.id, {Tag.STATUS.value: AmiStatus.DISABLED.value, Tag.DISABLED_AT.value: at})
        return at

    def verify(self, result: str) -> None:
        tags = {Tag.STATUS.value: AmiStatus.DISABLED.value, Tag.DISABLED_AT.value: result}
        require_tags(ami_named(self.ports.amis, self.ami.name), tags)
        require_snapshot_tags(self.ports.amis, self.ami, tags)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableAmi:
    """Let the account start a disabled AMI again."""

    amis: Amis
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:EnableImage")

    def describe(self) -> str:
        return f"enable {self.ami.id}; grants that it had do not come back"

    def apply(self) -> str:
        self.amis.enable(self.ami.id)
        return AmiState.AVAILABLE

    def verify(self, _: str) -> None:
        found = self.amis.get(self.ami.id)
        if found.state is not AmiState.AVAILABLE:
            raise CapctlError(
                "ami-not-enabled",
                f"AMI `{found.id}` is `{found.state}` after it was enabled",
                hint="Run the same command again",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCandidate:
    """Give a withdrawn AMI the status from which it can be proven again: the one way back."""

    amis: Amis
    ami: AmiRecord
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:CreateTags", "ec2:DeleteTags")

    def describe(self) -> str:
        return f"tag {self.ami.name} as {AmiStatus.CANDIDATE} again"

    def apply(self) -> AmiStatus:
        self.amis.untag(self.ami.id, [Tag.DISABLED_AT.value])
        self.amis.tag(self.ami.id, {Tag.STATUS.value: AmiStatus.CANDIDATE.value})
        return AmiStatus.CANDIDATE

    def verify(self, result: AmiStatus) -> None:
        require_tags(ami_named(self.amis, self.ami.name), {Tag.STATUS.value: result.value})


def plan_disable(ports: Ports, target: Target, ami_id: AmiId, *, force: bool) -> Plan:
    """Disable and tag, or nothing when both are done.

    Raises `CapctlError("ami-status-refused")` when the AMI's life does not lead there, and `CapctlError("ami-in-use")`; with `force`
    only a deregistered AMI is refused, and the plan says who will feel it.
    """
    ami = own_ami(ports.amis, target, ami_id)
    title = f"disable {ami_id}"
    if _is_disabled(ports.amis, ami):
        return Plan(title=title, because=f"it is disabled since {ami.tags[Tag.DISABLED_AT]}")
    if ami.status is AmiStatus.DEREGISTERED:
        raise status_refused(ami, AmiStatus.DISABLED)
    if force:
        because = f"it is withdrawn from everybody: {_who_feels_it(ports, ami)}"
    else:
        require_no_users(ports, ami)
        status = ami.known_status()
        if status is AmiStatus.PROMOTED:
            raise CapctlError(
                "ami-in-use",
                f"AMI `{ami.id}` is {status}, so releases take it",
                hint="Promote another AMI first, or pass `--force` to withdraw this one from whoever takes it",
            )
        if status is not AmiStatus.DISABLED and AmiStatus.DISABLED not in TRANSITIONS[status]:
            raise status_refused(ami, AmiStatus.DISABLED)
        because = f"it is {ami.status}, and no release uses it"
    steps = (DisableAmi(ports=ports, ami=ami, is_forced=force), TagDisabled(ports=ports, ami=ami))
    return Plan(title=title, because=because, steps=steps)


def plan_enable(ports: Ports, target: Target, run: Run, ami_id: AmiId) -> Plan:
    """Enable, tag as a candidate, prove as a bake does; what a killed run has done is left out.

    Raises `CapctlError("ami-status-refused")` for an AMI that is about to be gone.
    """
    ami = own_ami(ports.amis, target, ami_id)
    title = f"enable {ami_id}"
    status = ami.known_status()
    if status is AmiStatus.DEREGISTERED:
        raise status_refused(ami, AmiStatus.CANDIDATE)
    prove = (
        ProveAmi(ports=ports, target=target, run=run, amis=ports.amis, name=ami.name),
        SetStatus(amis=ports.amis, name=ami.name, to=AmiStatus.VERIFIED),
    )
    if status is AmiStatus.DISABLED or ami.state is AmiState.DISABLED:
        enable, again = EnableAmi(amis=ports.amis, ami=ami), MakeCandidate(amis=ports.amis, ami=ami)
        return Plan(title=title, because=f"it is `{ami.state}` and {status}", steps=(enable, again, *prove))
    if status is AmiStatus.CANDIDATE:
        return Plan(title=title, because="it is enabled, and not proven", steps=prove)
    return Plan(title=title, because=f"it is `{ami.state}` and {status or 'not tagged'}, not disabled")


def grants_on(amis: Amis, ami_id: AmiId) -> tuple[str, ...]:
    """Who else may start the AMI or copy its snapshots."""
    of_snapshots = amis.snapshot_grants(ami_id).values()
    return tuple(sorted({str(grant) for grant in amis.grants(ami_id).union(*of_snapshots)}))


def _is_disabled(amis: Amis, ami: AmiRecord) -> bool:
    tagged = ami.status is AmiStatus.DISABLED and Tag.DISABLED_AT in ami.tags
    return tagged and ami.state is AmiState.DISABLED and not grants_on(amis, ami.id)


def _who_feels_it(ports: Ports, ami: AmiRecord) -> str:
    """The uses and grants of an AMI that is withdrawn whatever uses it; a question that gets no answer stops nothing."""
    try:
        uses = uses_of(ports, ami)
    except CapctlError as error:
        uses = (f"whoever uses it, which cannot be told ({error.message})",)
    shared = [f"`{grant}`, with whom it is shared" for grant in grants_on(ports.amis, ami.id)]
    felt = (*uses, *shared)
    return f"this is felt by {', '.join(felt)}" if felt else "nobody is known to use it"
