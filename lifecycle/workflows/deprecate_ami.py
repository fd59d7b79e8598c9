"""`ami deprecate`: advise against an AMI from a moment on; nothing stops working."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.moments import parse_moment, parse_span, to_the_minute
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.clock import Clock
from lifecycle.workflows.lookups import own_ami

PERMISSIONS = {"ami deprecate": (*READ_AMIS, *READ_CHANNEL)}

# EC2 takes no later date for an AMI that is not public.
_AT_MOST = timedelta(days=3650)
# Without minutes: many write `1m` for a month.
_UNITS = "hdw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecate:
    """Set the moment from which on an AMI is advised against, or take it back."""

    amis: Amis
    ami_id: AmiId
    at: datetime | None
    permissions: tuple[str, ...] = (
        *READ_AMIS,
        "ec2:DisableImageDeprecation",
        "ec2:EnableImageDeprecation",
    )

    def describe(self) -> str:
        until = (
            f"deprecate {self.ami_id} from {_text(self.at)} on" if self.at else f"undo the deprecation of {self.ami_id}"
        )
        return f"{until}; nothing stops working"

    def apply(self) -> str:
        self.amis.deprecate(self.ami_id, self.at)
        return _text(self.at) if self.at else "taken back"

    def verify(self, _: str) -> None:
        if _deprecated_at(self.amis, self.ami_id) != self.at:
            found = self.amis.get(self.ami_id).deprecated_at
            raise CapctlError(
                "deprecation-not-set",
                f"AMI `{self.ami_id}` is deprecated from `{found or 'never'}` on after another time was set",
                hint=f"Unless somebody else changes it too, EC2 is late: `capctl ami show {self.ami_id}` says when",
                may_pass=True,
            )


def asked_moment(clock: Clock, *, at: str | None, within: str | None, undo: bool) -> datetime | None:
    """The full minute that the options name, of which one must be given; None takes a deprecation back.

    Raises `UsageError("time-missing" | "time-invalid" | "usage")`, the second also for what EC2 would refuse: the past, and ten years
    from now.
    """
    given = [name for name, value in (("`--at`", at), ("`--in`", within), ("`--undo`", undo)) if value]
    if not given:
        message = "It was not said from when on the AMI is deprecated"
        raise UsageError("time-missing", message, hint="Give one of `--at DATE`, `--in 30d` and `--undo`")
    if len(given) > 1:
        raise UsageError(
            "usage", f"{' and '.join(given)} were given, which exclude each other", hint="Give one of them"
        )
    if undo:
        return None
    now = clock.now()
    moment = parse_moment(at) if at else now + parse_span(within or "", units=_UNITS)
    if not now < moment <= now + _AT_MOST or (rounded := to_the_minute(moment)) <= now:
        raise UsageError(
            "time-invalid",
            f"{_text(moment)} is {'over, to the minute' if moment <= now + _AT_MOST else 'more than ten years away'}",
            hint="Name a time from now on and within ten years",
        )
    return rounded


def plan_deprecate(ports: Ports, target: Target, ami_id: AmiId, at: datetime | None) -> Plan:
    """One step, or none when it is so already."""
    own_ami(ports.amis, target, ami_id)
    title = f"deprecate {ami_id}" if at else f"undo the deprecation of {ami_id}"
    found = _deprecated_at(ports.amis, ami_id)
    if found == at:
        return Plan(
            title=title, because=f"it is deprecated from {_text(at)} on already" if at else "it is not deprecated"
        )
    return Plan(
        title=title,
        because=f"it is deprecated from {_text(found)} on" if found else "it is not deprecated",
        steps=(Deprecate(amis=ports.amis, ami_id=ami_id, at=at),),
    )


def _deprecated_at(amis: Amis, ami_id: AmiId) -> datetime | None:
    told = amis.get(ami_id).deprecated_at
    return to_the_minute(parse_moment(told)) if told else None


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%MZ")
