"""`ami disable`: withdraw an AMI so that nobody can start it, and the way back."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import TRANSITIONS, AmiState, AmiStatus
from lifecycle.domain.moments import moment_text
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_GRANTS
from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import unread_text, uses_of, uses_text
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.ami_status import require_tags, status_refused
from lifecycle.workflows.ami_uses import READ_USES, all_uses, grants_on
from lifecycle.workflows.bake_steps import ProveAmi
from lifecycle.workflows.lookups import ami_named, own_ami
from lifecycle.workflows.uses import use_unproven
from lifecycle.workflows.verify_ami import asked_level
from lifecycle.workflows.withdraw import WITHDRAW, Withdrawal, require_withdrawn, told_grants, withdraw

PERMISSIONS = {"ami disable": (*READ_AMIS, *READ_CHANNEL, *READ_GRANTS, *READ_USES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawAmi:
    """Let nobody start the AMI any more, whatever names it, and take every grant away, of which `shared` were there before; `is_forced`
    asks nobody who uses it."""

    ports: Ports
    target: Target
    run: Run
    ami: AmiRecord
    is_forced: bool
    shared: tuple[str, ...] = ()
    permissions: tuple[str, ...] = (*READ_USES, *WITHDRAW)

    def describe(self) -> str:
        taken = f", and the grants of {', '.join(self.shared)} are taken away" if self.shared else ""
        return f"disable {self.ami.id}: nobody can start it{taken}"

    def apply(self) -> Withdrawal:
        if not self.is_forced:
            _require_unused(self.ports, self.target, self.ami)
        return withdraw(self.ports, self.target, self.ami.id, by=self.run.user, reason=self.run.reason)

    def verify(self, result: Withdrawal) -> None:
        require_withdrawn(self.ports.amis, self.ami.id, result)


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
                may_pass=True,
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
        self.amis.untag(self.ami.id, [Tag.DISABLED_AT.value, Tag.DISABLED_BY.value])
        self.amis.tag(self.ami.id, {Tag.STATUS.value: AmiStatus.CANDIDATE.value})
        return AmiStatus.CANDIDATE

    def verify(self, result: AmiStatus) -> None:
        require_tags(ami_named(self.amis, self.ami.name), {Tag.STATUS.value: result.value})


def plan_disable(ports: Ports, target: Target, run: Run, ami_id: AmiId, *, force: bool) -> Plan:
    """Withdraw the AMI, or nothing when that is done.

    Raises `CapctlError("ami-status-refused")` when the AMI's life does not lead there, `CapctlError("ami-in-use")`, and
    `Inconclusive("use-unproven")` where not everything that may use it can be read; with `force` none is refused, and
    the plan says who will feel it.
    """
    ami = own_ami(ports.amis, target, ami_id)
    title = f"disable {ami_id}"
    shared = () if ami.state.is_dead else told_grants(grants_on(ports.amis, ami))
    if (since := ami.withdrawn_since) and ami.status is AmiStatus.DISABLED and not shared:
        by = ami.tags.get(Tag.DISABLED_BY)
        return Plan(title=title, because=f"it is disabled since {moment_text(since)}{f', by {by}' if by else ''}")
    if force:
        because = f"it is withdrawn from everybody: {_who_feels_it(ports, target, ami)}"
    else:
        _require_unused(ports, target, ami)
        _require_way(ami)
        because = f"it is {ami.status}, and nothing uses it"
    return Plan(
        title=title,
        because=because,
        steps=(WithdrawAmi(ports=ports, target=target, run=run, ami=ami, is_forced=force, shared=shared),),
    )


def plan_enable(ports: Ports, target: Target, run: Run, ami_id: AmiId) -> Plan:
    """Enable, tag as a candidate, prove as a bake does, at least by what it failed last; what a killed run has done is left out."""
    ami = own_ami(ports.amis, target, ami_id)
    title = f"enable {ami_id}"
    status = ami.known_status()
    prove = ProveAmi(
        ports=ports, target=target, run=run, amis=ports.amis, name=ami.name, level=asked_level(target, ami)
    )
    if status is AmiStatus.DISABLED or ami.state is AmiState.DISABLED:
        enable, again = EnableAmi(amis=ports.amis, ami=ami), MakeCandidate(amis=ports.amis, ami=ami)
        return Plan(title=title, because=f"it is {ami.standing()}", steps=(enable, again, prove))
    if status is AmiStatus.CANDIDATE:
        return Plan(title=title, because="it is enabled, and not proven", steps=(prove,))
    return Plan(title=title, because=f"it is {ami.standing()}, not disabled")


def _require_unused(ports: Ports, target: Target, ami: AmiRecord) -> None:
    """Raise `CapctlError("ami-in-use")`, or `Inconclusive("use-unproven")`, unless it is proven that nothing uses the AMI."""
    report = all_uses(ports, target)
    if uses := uses_text(uses_of(ami, report.by_id())):
        raise CapctlError(
            "ami-in-use",
            f"AMI `{ami.id}` is {uses[0]}",
            hint="Let another AMI take its place there, or pass `--force` to withdraw it from whoever uses it",
            details=(*uses[1:], *unread_text(report.unread)),
        )
    if report.unread:
        raise use_unproven(report.unread, command="ami disable", so="it is not withdrawn without `--force`")


def _require_way(ami: AmiRecord) -> None:
    status = ami.known_status()
    if status is AmiStatus.PROMOTED:
        raise CapctlError(
            "ami-in-use",
            f"AMI `{ami.id}` is {status}, so releases take it",
            hint="Promote another AMI first, or pass `--force` to withdraw this one from whoever takes it",
        )
    if status is not AmiStatus.DISABLED and AmiStatus.DISABLED not in TRANSITIONS[status]:
        raise status_refused(ami, AmiStatus.DISABLED)


def _who_feels_it(ports: Ports, target: Target, ami: AmiRecord) -> str:
    """The uses of an AMI that is withdrawn whatever uses it, and what could not be read of them."""
    report = all_uses(ports, target)
    felt = (*uses_text(uses_of(ami, report.by_id())), *unread_text(report.unread))
    return "; ".join(felt) or "nothing uses it"
