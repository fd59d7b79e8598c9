"""The words of scopes: ARNs of what the programs and adapters call their own, with PROJECT, ACCOUNT and REGION left open."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from lifecycle.adapters.pulumi_state import state_bucket
from lifecycle.config.rules import valid_values
from lifecycle.config.schema import Settings
from lifecycle.config.sections import section_of
from lifecycle.config.target import Target
from lifecycle.domain.layout import Folder
from lifecycle.domain.tags import Tag

# Operator, key and value of each condition.
When = tuple[tuple[str, str, str | tuple[str, ...]], ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """ARNs, with `*` and `?` for what is not known, and what has to hold besides."""

    resources: tuple[str, ...]
    when: When = ()


TARGET = Target(
    name="any",
    project="PROJECT",
    account="ACCOUNT",
    region="REGION",
    profile=None,
    endpoint_url=None,
    registry_url=None,
    folder=Path(),
    settings=section_of(Settings, valid_values(Settings, {}, with_defaults=True)),
)
# Of a release, whose id has 12 digits: a longer wildcard would cover the releases of a project whose name begins with this one's.
RELEASE = f"{TARGET.project}-{'?' * 12}"
# What Packer calls its key pairs.
TEMPORARY = "packer_*"

TAG, WANTED = f"aws:ResourceTag/{Tag.PROJECT}", f"aws:RequestTag/{Tag.PROJECT}"
OF_PROJECT: When = (("StringEquals", TAG, TARGET.project),)
FOR_PROJECT: When = (("StringEquals", WANTED, TARGET.project),)


def arn(service: str, name: str, *, region: str = TARGET.region, account: str = TARGET.account) -> str:
    """An ARN, as in AWS's commercial regions."""
    return f"arn:aws:{service}:{region}:{account}:{name}"


def on(*resources: str, when: When = ()) -> tuple[Scope, ...]:
    """One scope of ARNs."""
    return (Scope(resources=tuple(sorted(resources)), when=when),)


def ec2(*kinds: str, when: When = ()) -> tuple[Scope, ...]:
    """Everything of the kinds; a kind with a name, as `key-pair/NAME`, has its own end."""
    found = (kind if "/" in kind else f"{kind}/*" for kind in kinds)
    # Images and snapshots have no account in their ARNs.
    return on(
        *(arn("ec2", one, account="" if one[:5] in {"image", "snaps"} else "ACCOUNT") for one in found), when=when
    )


def on_objects(*folders: Folder) -> tuple[Scope, ...]:
    """The objects of the target's folders, and Pulumi's own in the bucket of the state."""
    state = arn("s3", f"{state_bucket(TARGET)}/.pulumi/*", region="", account="")
    return on(state, *(arn("s3", f"{TARGET.bucket}/{folder}/*", region="", account="") for folder in folders))


def roles(*names: str) -> list[str]:
    """The project's roles, by what stands after its name."""
    return [arn("iam", f"role/{TARGET.project}-{name}", region="") for name in names]


def linked(service: str, name: str) -> Scope:
    """The role that a service has for itself in an account."""
    role = arn("iam", f"role/aws-service-role/{service}.amazonaws.com/{name}", region="")
    return Scope(resources=(role,), when=(("StringEquals", "iam:AWSServiceName", f"{service}.amazonaws.com"),))


def passed_to(service: str, *names: str) -> Scope:
    """The project's roles of that name, for a service to take on."""
    return Scope(
        resources=tuple(sorted(roles(*names))),
        when=(("StringEquals", "iam:PassedToService", f"{service}.amazonaws.com"),),
    )


# What a call of EC2 tags while it makes it, by its name as `ec2:CreateAction` has it.
TAGGED_AT_CREATION: Mapping[str, tuple[str, ...]] = {
    "CopyImage": ("image", "snapshot"),
    "CreateImage": ("image", "snapshot"),
    "CreateInternetGateway": ("internet-gateway",),
    "CreateKeyPair": (f"key-pair/{TEMPORARY}",),
    "CreateLaunchTemplate": ("launch-template",),
    "CreateRouteTable": ("route-table",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSubnet": ("subnet",),
    "CreateVpc": ("vpc",),
    "CreateVpcEndpoint": ("vpc-endpoint",),
    "RunInstances": ("instance", "volume"),
}


def made_tagged(calls: Collection[str]) -> tuple[Scope, ...]:
    """What the calls may tag while they make it, with the project's name among the tags."""
    kinds = dict.fromkeys(kind for call in calls for kind in TAGGED_AT_CREATION[call])
    when = (("StringEquals", "ec2:CreateAction", tuple(sorted(calls))), *FOR_PROJECT)
    return ec2(*kinds, when=when)
