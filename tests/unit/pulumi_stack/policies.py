"""What every resource of the programs must be, whichever program declares it: a new resource is held to it like the others."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.rehearsal.provider.catalogue import TYPES
from lifecycle.rehearsal.provider.resource import whole_numbers
from lifecycle.rehearsal.provider.rules import failures, schema
from tests.unit.pulumi_stack.recorded import Resource

# Calls that AWS lets nobody bind to one thing, and why they are needed all the same.
UNSCOPED: Mapping[str, str] = {
    "ecr:GetAuthorizationToken": "ECR's token is of a registry, and has no resource",
    "ecs:DeregisterContainerInstance": "the cluster is Batch's, whose name is known only once it is made",
    "ecs:DiscoverPollEndpoint": "ECS has no resource for it",
    "ecs:Poll": "the container instance does not exist before it has registered",
    "ecs:RegisterContainerInstance": "the cluster is Batch's, whose name is known only once it is made",
    "ecs:StartTelemetrySession": "the container instance does not exist before it has registered",
    "ecs:SubmitAttachmentStateChanges": "the cluster is Batch's, whose name is known only once it is made",
    "ecs:SubmitContainerStateChange": "the cluster is Batch's, whose name is known only once it is made",
    "ecs:SubmitTaskStateChange": "the cluster is Batch's, whose name is known only once it is made",
    "ecs:UpdateContainerInstancesState": "the cluster is Batch's, whose name is known only once it is made",
}
_STRATEGIES = {"BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED"}
_OF_RELEASES = {"LaunchTemplate", "ComputeEnvironment", "JobQueue", "JobDefinition"}
_INGRESS = {"SecurityGroupIngressRule", "DefaultSecurityGroup"}
_KNOWN = {kind.token: kind for kind in TYPES}

_Breaks = Callable[[Resource, Sequence[Resource]], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A rule about the resources whose kind is in `kinds`, None for all; `breaks` says how one breaks it."""

    name: str
    kinds: frozenset[str] | None
    breaks: _Breaks


POLICIES: list[Policy] = []


def broken(resources: Sequence[Resource]) -> list[str]:
    """Every break of every policy, as `policy: type name: how`."""
    found = [resource for resource in resources if resource.type.startswith("aws:")]
    return [
        f"{policy.name}: {resource.type} {resource.name}: {how}"
        for policy in POLICIES
        for resource in found
        if policy.kinds is None or kind_of(resource) in policy.kinds
        for how in policy.breaks(resource, found)
    ]


def kind_of(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def _policy(name: str, *kinds: str) -> Callable[[_Breaks], _Breaks]:
    def add(breaks: _Breaks) -> _Breaks:
        POLICIES.append(Policy(name=name, kinds=frozenset(kinds) or None, breaks=breaks))
        return breaks

    return add


@_policy("rehearsed")
def _rehearsed(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    """The rehearsal's provider makes it, and has nothing against its inputs."""
    kind = _KNOWN.get(resource.type)
    if kind is None:
        yield "the rehearsal's provider does not know it"
        return
    inputs = whole_numbers(resource.inputs)
    for one in failures(schema()[kind.token], inputs, applied=kind.applied, invented=kind.invented, rules=kind.rules):
        yield f"{one.property} {one.reason}"


@_policy("tagged")
def _tagged(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    """What can be tagged says whose it is."""
    declared = schema().get(resource.type, {"properties": {}})["properties"]
    if "tags" in declared and not (resource.inputs.get("tags") or {}).get("capctl:project"):
        yield "no tag `capctl:project`"


@_policy("unique names")
def _unique(resource: Resource, others: Sequence[Resource]) -> Iterator[str]:
    """No two things of one kind have one name."""
    if kind_of(resource) == "RolePolicy":  # its name is within its role
        return
    names = Counter(one.inputs.get("name") for one in others if one.type == resource.type and one.inputs.get("name"))
    if names[resource.inputs.get("name")] > 1:
        yield f"another one is called `{resource.inputs['name']}` too"


@_policy("release-scoped", *_OF_RELEASES)
def _release_scoped(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    release = (resource.inputs.get("tags") or {}).get("capctl:release", "")
    if not re.fullmatch(r"[0-9a-f]{12}", release) or not resource.inputs["name"].endswith(f"-{release}"):
        yield f"`{resource.inputs['name']}` is not named after its release `{release}`"


@_policy("image by digest", "JobDefinition")
def _by_digest(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    image = json.loads(resource.inputs["containerProperties"])["image"]
    if not re.search(r"@sha256:[0-9a-f]{64}$", image):
        yield f"image `{image}`"


@_policy("mounts read-only", "JobDefinition")
def _mounts(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    properties = json.loads(resource.inputs["containerProperties"])
    mounts = properties.get("mountPoints", [])
    yield from (f"{one['containerPath']} can be written" for one in mounts if one.get("readOnly") is not True)
    if properties.get("privileged"):
        yield "the container is privileged"


@_policy("template version numbered", "ComputeEnvironment")
def _numbered(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    version = (resource.inputs["computeResources"].get("launchTemplate") or {}).get("version", "")
    if not re.fullmatch(r"[0-9]+", version):
        yield f"version `{version}`"


@_policy("image type set", "ComputeEnvironment")
def _image_type(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    configurations = resource.inputs["computeResources"].get("ec2Configurations") or [{}]
    yield from ("no image type" for one in configurations if not one.get("imageType"))


@_policy("strategy set", "ComputeEnvironment")
def _strategy(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    strategy = resource.inputs["computeResources"].get("allocationStrategy")
    if strategy not in _STRATEGIES:
        yield f"strategy `{strategy}`"


@_policy("nothing that moves or binds", "ComputeEnvironment")
def _unbound(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    """Batch moves `desiredVcpus`, and a role given at creation cannot be taken back."""
    for holder, name in (
        (resource.inputs["computeResources"], "desiredVcpus"),
        (resource.inputs["computeResources"], "spotIamFleetRole"),
        (resource.inputs, "serviceRole"),
    ):
        if holder.get(name) is not None:
            yield f"`{name}` is set"


@_policy("IMDSv2", "LaunchTemplate")
def _imds(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    options = resource.inputs.get("metadataOptions") or {}
    if options.get("httpTokens") != "required":
        yield "no token is required"
    if options.get("httpPutResponseHopLimit") != 1:
        yield "containers reach the metadata of their host"


@_policy("volumes encrypted", "LaunchTemplate")
def _volumes(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    disks = [one.get("ebs") or {} for one in resource.inputs.get("blockDeviceMappings") or ()]
    if not disks:
        yield "the volumes are the image's"
    yield from (
        f"volume {disk}" for disk in disks if disk.get("encrypted") != "true" or disk.get("volumeType") != "gp3"
    )


@_policy("queues encrypted", "Queue")
def _queues(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    if not (resource.inputs.get("sqsManagedSseEnabled") or resource.inputs.get("kmsMasterKeyId")):
        yield "messages are not encrypted"


@_policy("tables encrypted and recoverable", "Table")
def _tables(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    for name in ("serverSideEncryption", "pointInTimeRecovery"):
        if not (resource.inputs.get(name) or {}).get("enabled"):
            yield f"`{name}` is not enabled"


@_policy("buckets encrypted and closed", "Bucket")
def _buckets(resource: Resource, others: Sequence[Resource]) -> Iterator[str]:
    own = {kind_of(one): one.inputs for one in others if one.inputs.get("bucket") == f"Bucket-{resource.name}"}
    rules = own.get("BucketServerSideEncryptionConfiguration", {}).get("rules")
    if not rules or not all(one.get("applyServerSideEncryptionByDefault") for one in rules):
        yield "objects are not encrypted"
    block = own.get("BucketPublicAccessBlock", {})
    for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        if block.get(name) is not True:
            yield f"`{name}` is not set"


@_policy("logs expire", "LogGroup")
def _logs(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    if not resource.inputs.get("retentionInDays"):
        yield "logs stay for ever"


@_policy("no way in")
def _no_way_in(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    kind = kind_of(resource)
    if kind in _INGRESS or (kind == "SecurityGroupRule" and resource.inputs.get("type") != "egress"):
        yield "it lets something in"
    if kind == "SecurityGroup" and resource.inputs.get("ingress"):
        yield f"it lets in {resource.inputs['ingress']}"


@_policy("least actions")
def _actions(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    """Each action by its whole name, and on things by theirs."""
    for statement in _statements(resource):
        yield from (
            f"`{name}` says what is not meant"
            for name in ("NotAction", "NotResource", "NotPrincipal")
            if name in statement
        )
        actions = _several(statement.get("Action"))
        yield from (f"action `{action}`" for action in actions if "*" in action)
        for one in _several(statement.get("Resource")):
            if one == "*" and (unlisted := sorted(set(actions) - UNSCOPED.keys())):
                yield f"{', '.join(unlisted)} on everything"
            elif one != "*" and "*" in ":".join(one.split(":")[:5]):
                yield f"`{one}` is of more than one service, region or account"


@_policy("trust in one service", "Role")
def _trust(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    for statement in _statements(resource):
        principal = statement.get("Principal")
        service = principal.get("Service") if isinstance(principal, dict) and len(principal) == 1 else None
        if not isinstance(service, str) or "*" in service or statement.get("Action") != "sts:AssumeRole":
            yield f"`{principal}` may take it"
    if len(_statements(resource)) != 1:
        yield f"{len(_statements(resource))} statements of trust"


@_policy("services act for this account only", "Queue")
def _bound(resource: Resource, _: Sequence[Resource]) -> Iterator[str]:
    """A service that may call could be asked to by anybody."""
    for statement in _statements(resource):
        keys = {key for asked in (statement.get("Condition") or {}).values() for key in asked}
        if not isinstance(statement.get("Principal"), dict) or not {"aws:SourceArn", "aws:SourceAccount"} <= keys:
            yield f"`{statement.get('Principal')}` may call for anybody"


def _statements(resource: Resource) -> list[dict[str, Any]]:
    """Those of every policy document among the inputs."""
    found: list[dict[str, Any]] = []
    for value in resource.inputs.values():
        if isinstance(value, str) and value.startswith("{"):
            document = json.loads(value)
            found += document.get("Statement", []) if isinstance(document, dict) else []
    return found


def _several(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []
