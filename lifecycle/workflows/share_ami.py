"""`ami share`: let other accounts start a verified AMI, or no longer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord, Grant
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_GRANTS
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.lookups import own_ami, proven_ami

PERMISSIONS = {"ami share": (*READ_AMIS, *READ_CHANNEL, *READ_GRANTS, "ec2:DescribeSnapshots", "kms:DescribeKey")}

_ACCOUNT = re.compile(r"[0-9]{12}")
_ORGANIZATION = re.compile(r"arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}")
_UNIT = re.compile(r"arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeGrants:
    """Let others start an AMI and copy its snapshots, or no longer."""

    amis: Amis
    ami: AmiRecord
    add: tuple[Grant, ...]
    remove: tuple[Grant, ...]
    permissions: tuple[str, ...] = (
        *READ_AMIS,
        *READ_GRANTS,
        "ec2:ModifyImageAttribute",
        "ec2:ModifySnapshotAttribute",
    )

    def describe(self) -> str:
        if self.add:
            return f"share {self.ami.id} with {_listed(self.add)}"
        return f"stop sharing {self.ami.id} with {_listed(self.remove)}"

    def apply(self) -> str:
        self.amis.change_grants(self.ami.id, add=self.add, remove=self.remove)
        return counted(len(self.add) or len(self.remove), "grant")

    def verify(self, _: str) -> None:
        lacking = (*_not_given(self.amis, self.ami.id, self.add), *_still_given(self.amis, self.ami.id, self.remove))
        if lacking:
            raise CapctlError(
                "grants-not-set",
                f"AMI `{self.ami.id}` is {'not' if self.add else 'still'} shared with {_listed(lacking)} after it was changed",
                hint=f"Unless somebody else changes it too, EC2 is late: `capctl ami show {self.ami.id}` says with whom it is shared",
                may_pass=True,
            )


def parse_grants(
    target: Target, *, accounts: Iterable[str], organizations: Iterable[str], units: Iterable[str]
) -> tuple[Grant, ...]:
    """Whom the options name. Raises `UsageError("grant-missing" | "grant-invalid")`; nothing is ever shared with everybody."""
    for account in accounts:
        if account == "all":
            raise UsageError(
                "grant-invalid", "An AMI with models is not made public", hint="Name the accounts with `--with`"
            )
        if not _ACCOUNT.fullmatch(account):
            raise UsageError("grant-invalid", f"`{account}` is not an AWS account id", hint="Write its 12 digits")
        if account == target.account:
            raise UsageError(
                "grant-invalid", f"`{account}` is the account that has the AMI", hint="Name another account"
            )
    for pattern, arns, kind in ((_ORGANIZATION, organizations, "organisation"), (_UNIT, units, "organisational unit")):
        for arn in arns:
            if not pattern.fullmatch(arn):
                raise UsageError(
                    "grant-invalid",
                    f"`{arn}` is not the ARN of an {kind}",
                    hint="Copy it from AWS Organizations, where it begins with `arn:aws:organizations::`",
                )
    grants = (
        *(Grant(account=account) for account in accounts),
        *(Grant(organization=arn) for arn in organizations),
        *(Grant(unit=arn) for arn in units),
    )
    if not grants:
        raise UsageError(
            "grant-missing",
            "With whom?",
            hint="Name accounts with `--with`, or ARNs with `--with-organization` or `--with-unit`",
        )
    return tuple(dict.fromkeys(grants))


def plan_share(ports: Ports, target: Target, ami_id: AmiId, grants: tuple[Grant, ...]) -> Plan:
    """Give what of `grants` is not given, on the AMI or on any of its snapshots.

    Raises `CapctlError("ami-missing" | "ami-foreign" | "ami-not-verified" | "ami-not-shareable")`.
    """
    ami = proven_ami(ports.amis, target, ami_id)
    add = _not_given(ports.amis, ami.id, grants)
    if not add:
        return Plan(title=f"share {ami.id}", because=f"it is shared with {_listed(grants)} already")
    ports.amis.require_shareable(ami.id)
    if any(snapshot.encrypted for snapshot in ports.amis.snapshots(ami.snapshot_ids)):
        ports.ui.note("The snapshots are encrypted: the policy of their KMS key must let these accounts use it, too")
    because = f"it is not shared with {_listed(add)}"
    return Plan(
        title=f"share {ami.id}", because=because, steps=(ChangeGrants(amis=ports.amis, ami=ami, add=add, remove=()),)
    )


def plan_revoke(ports: Ports, target: Target, ami_id: AmiId, grants: tuple[Grant, ...]) -> Plan:
    """Take back what of `grants` is given, whatever has become of the AMI. Raises `CapctlError("ami-missing" | "ami-foreign")`."""
    ami = own_ami(ports.amis, target, ami_id)
    remove = _still_given(ports.amis, ami.id, grants)
    title = f"revoke grants on {ami.id}"
    if not remove:
        return Plan(title=title, because=f"it is not shared with {_listed(grants)}")
    step = ChangeGrants(amis=ports.amis, ami=ami, add=(), remove=remove)
    return Plan(title=title, because=f"it is shared with {_listed(remove)}", steps=(step,))


def _not_given(amis: Amis, ami_id: AmiId, grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Those that the AMI lacks, and the accounts that any of its snapshots lacks."""
    of_ami, of_snapshots = amis.grants(ami_id), amis.snapshot_grants(amis.get(ami_id).snapshot_ids).values()
    return tuple(
        grant
        for grant in grants
        if grant not in of_ami or (grant.account and any(grant not in given for given in of_snapshots))
    )


def _still_given(amis: Amis, ami_id: AmiId, grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Those that the AMI has, or any of its snapshots."""
    given = amis.grants(ami_id).union(*amis.snapshot_grants(amis.get(ami_id).snapshot_ids).values())
    return tuple(grant for grant in grants if grant in given)


def _listed(grants: Iterable[Grant]) -> str:
    return ", ".join(str(grant) for grant in grants)
