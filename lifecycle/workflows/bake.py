"""`ami bake`: an AMI that holds exactly the locked model set, made once per content."""

from dataclasses import dataclass
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord, AmiStatus, BakeInputs, Tag
from lifecycle.domain.evidence import differences
from lifecycle.domain.models import ModelSet
from lifecycle.domain.permissions import READ_AMIS, READ_EVIDENCE, READ_OBJECTS
from lifecycle.domain.plan import Plan, Step
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.bake_steps import (
    BakeAmi,
    Deregister,
    MarkCandidate,
    MarkVerified,
    RequireImdsV2,
    bake_tags,
)
from lifecycle.workflows.lock_models import locked
from lifecycle.workflows.push_models import distinct, missing_objects
from lifecycle.workflows.verify_ami import read_evidence

PERMISSIONS = {"ami bake": (*READ_AMIS, *READ_EVIDENCE, *READ_OBJECTS, "ssm:GetParameter")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bake:
    """What is to be baked, under which AMI name; `existing` is the AMI that has this content or this name already."""

    inputs: BakeInputs
    models: ModelSet
    ami_name: str
    existing: AmiRecord | None


def resolve_bake(ports: Ports, target: Target) -> Bake:
    """The bake that the lock file, the base AMI of this moment and the recipe call for."""
    models = locked(ports)
    inputs = BakeInputs(
        model_set=models.digest,
        base_ami=ports.amis.resolve_base(target.settings.ami.base),
        recipe=ports.baker.recipe(),
        architecture=target.settings.ami.architecture,
    )
    name = inputs.ami_name(target.project)
    # By digest first, so that the AMI of a forced bake counts; by name, because Packer tags an AMI last.
    proven = (ami for ami in _baked_from(inputs, ports, target) if _proven(ami))
    existing = next(proven, None) or ports.amis.by_name(name)
    return Bake(inputs=inputs, models=models, ami_name=existing.name if existing else name, existing=existing)


def forced(ports: Ports, target: Target, run: Run, bake: Bake) -> Bake:
    """The same bake as if no proven AMI had its content; the name takes the run's id, since AWS keeps names unique.

    An AMI that a killed run left unproven is gone on with.
    """
    left = next((ami for ami in _baked_from(bake.inputs, ports, target) if not _proven(ami)), None)
    name = left.name if left else f"{bake.inputs.ami_name(target.project)}-{run.id}"
    return Bake(inputs=bake.inputs, models=bake.models, ami_name=name, existing=left)


def plan_bake(ports: Ports, target: Target, run: Run, bake: Bake) -> Plan:
    """A plan that makes a verified AMI of the locked model set exist.

    Empty when a proven AMI of the same bake digest is there. An AMI that a former run left unproven is verified when the report of
    its instance is at hand; otherwise it is removed and baked again.
    """
    name, existing = bake.ami_name, bake.existing
    if existing and _proven(existing):
        because = f"AMI `{existing.id}` is {existing.status} and has bake digest {bake.inputs.digest}"
        return Plan(title=f"bake {name}", because=because)
    tags = bake_tags(bake.inputs, project=target.project, name=name, run=run)
    steps: tuple[Step[Any], ...] = ()
    if existing and _can_be_verified(ports, target, existing, bake.models):
        because = f"AMI `{existing.id}` is there, but it is not verified"
    else:
        because = f"no AMI has bake digest {bake.inputs.digest}"
        if existing:
            because = f"AMI `{existing.id}` is `{existing.state}` and what it holds cannot be proven"
            steps = (Deregister(ports=ports, ami=existing),)
        base = _checked_base(ports, target, bake)
        steps += (BakeAmi(ports=ports, target=target, run=run, base=base, models=bake.models, name=name, tags=tags),)
    steps += (
        MarkCandidate(ports=ports, target=target, name=name, tags=tags),
        RequireImdsV2(ports=ports, name=name),
        MarkVerified(ports=ports, target=target, name=name),
    )
    return Plan(title=f"bake {name}", because=because, steps=steps)


def _baked_from(inputs: BakeInputs, ports: Ports, target: Target) -> tuple[AmiRecord, ...]:
    amis = ports.amis.list(target.project)
    return tuple(ami for ami in amis if ami.tags.get(Tag.BAKE_DIGEST) == inputs.digest)


def _proven(ami: AmiRecord) -> bool:
    return ami.state == "available" and ami.status is AmiStatus.VERIFIED


def _can_be_verified(ports: Ports, target: Target, ami: AmiRecord, models: ModelSet) -> bool:
    if ami.state not in {"available", "pending"}:
        return False
    found = read_evidence(ports, target, ami.id)
    return found is not None and not differences(found[0], models)


def _checked_base(ports: Ports, target: Target, bake: Bake) -> AmiRecord:
    """The base AMI, after all that can be known before an instance costs money."""
    ports.baker.require_programs()
    budget = target.settings.models.budget_bytes
    if bake.models.total_bytes > budget:
        raise CapctlError(
            "payload-over-budget",
            f"The model set has {bake.models.total_bytes} bytes, the budget is {budget}",
            hint="Leave files out with `models.exclude`, or raise `models.budget_bytes`",
        )
    base = ports.amis.get(bake.inputs.base_ami)
    if base.architecture != bake.inputs.architecture:
        raise UsageError(
            "base-ami-architecture",
            f"Base AMI `{base.id}` is {base.architecture}, `ami.architecture` is {bake.inputs.architecture}",
            hint="Correct `ami.base` or `ami.architecture`",
        )
    if missing := missing_objects(ports, target, distinct(bake.models)):
        raise CapctlError(
            "object-missing",
            f"Model `{missing[0].path}` is not in `{target.models_uri}`",
            hint="Run `capctl models push`, then bake again",
            details=tuple(f"missing: {file.path}" for file in missing),
        )
    return base
