"""`ami bake`: an AMI that holds exactly the locked model set, made once per content."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.channel import CANDIDATE
from lifecycle.domain.evidence import differences
from lifecycle.domain.models import CONTRACT, ModelSet
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_EVIDENCE, READ_GRANTS, READ_OBJECTS, READ_SOURCE
from lifecycle.domain.plan import Done, Plan, Step
from lifecycle.domain.run import Run
from lifecycle.domain.runtime import require_described
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.ami_checks import payload_budgets
from lifecycle.workflows.ami_uses import READ_USES
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.bake_inputs import base_record, present_inputs
from lifecycle.workflows.bake_reason import inputs_told, why_bake
from lifecycle.workflows.bake_steps import FINISH, BakeAmi, ProveAmi, bake_tags, finish_steps
from lifecycle.workflows.deregister import Deregister, require_unfinished, why_not_removed
from lifecycle.workflows.lookups import ami_named, tell_of_dead_runs
from lifecycle.workflows.model_objects import distinct, missing_objects, object_uri
from lifecycle.workflows.move_channel import NameCandidate
from lifecycle.workflows.source_models import tell_of_other_names

_LARGEST = 5  # files that are named when the set is too large
PERMISSIONS = {
    "ami bake": (
        *READ_AMIS,
        *READ_CHANNEL,
        *READ_GRANTS,
        *READ_EVIDENCE,
        *READ_OBJECTS,
        *READ_SOURCE,
        *READ_USES,
        *FINISH,
        "ssm:GetParameter",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAmi:
    """What is to be baked, under which name; `existing` is the AMI that has this content or this name already.

    A proven one is taken as it is when it passed the configured level and has come at least to `from_status`. `amis` are the project's,
    newest first.
    """

    inputs: BakeInputs
    models: ModelSet
    name: str
    existing: AmiRecord | None
    amis: tuple[AmiRecord, ...]
    from_status: AmiStatus = AmiStatus.VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBake:
    """What is wanted, and the plan that makes it exist; `from_status` is what the AMI shall have come to at least."""

    wanted: WantedAmi
    plan: Plan
    from_status: AmiStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Baked:
    """The verified AMI of the locked model set; `is_changed` unless it had been there before."""

    ami: AmiRecord
    is_changed: bool


def bake(
    ports: Ports,
    target: Target,
    run: Run,
    *,
    force: bool,
    from_status: AmiStatus = AmiStatus.VERIFIED,
    carry_out: Callable[[Plan], Done | None],
) -> Baked | None:
    """Make a verified AMI of the locked model set exist; with `force` another one, whatever exists.

    One that is proven, but not by the level that the configuration asks for or short of `from_status`, is verified again before it
    counts. `carry_out` executes the plan, or prints it and returns None: then nothing was baked, and None is returned.
    """
    planned = plan_locked_bake(ports, target, run, force=force, from_status=from_status)
    return None if carry_out(planned.plan) is None else baked(ports, planned)


def plan_locked_bake(
    ports: Ports, target: Target, run: Run, *, force: bool = False, from_status: AmiStatus = AmiStatus.VERIFIED
) -> PlannedBake:
    """The plan of a bake of the locked model set. Raises as `plan_bake`."""
    tell_of_dead_runs(ports)
    wanted = wanted_anew(ports, target, run) if force else wanted_ami(ports, target, from_status=from_status)
    tell_of_other_names(ports, wanted.models)
    kept: list[AmiId] = []
    while wanted.existing and (why := _why_beside(ports, target, wanted.existing, wanted.models)):
        ports.ui.note(f"AMI `{wanted.existing.id}` cannot be proven and stays, another is baked beside it: {why[0]}")
        kept.append(wanted.existing.id)
        wanted = wanted_anew(ports, target, run, apart_from=kept)
    return PlannedBake(wanted=wanted, plan=plan_bake(ports, target, run, wanted), from_status=from_status)


def baked(ports: Ports, planned: PlannedBake) -> Baked:
    """The AMI of a plan that was carried out."""
    is_changed = any(not isinstance(step, ProveAmi | NameCandidate) for step in planned.plan.steps)
    ami = ami_named(ports.amis, planned.wanted.name)
    if not _has_come_to(planned.from_status, ami):
        ports.ui.note(
            f"AMI `{ami.id}` is {ami.status}, not {planned.from_status}: `capctl deploy` and `capctl ami promote` take it further"
        )
    return Baked(ami=ami, is_changed=is_changed)


def wanted_ami(ports: Ports, target: Target, *, from_status: AmiStatus = AmiStatus.VERIFIED) -> WantedAmi:
    """The AMI that the lock file, the base AMI of this moment and the recipe call for."""
    models, inputs = present_inputs(ports, target)
    name, amis = inputs.ami_name(target.project), ports.amis.list(target.project)
    # By digest first, so that the AMI of a forced bake counts; by name, because Packer tags an AMI last.
    # One that another took the place of comes last: that it was rolled back may be why.
    proven = sorted(
        (ami for ami in _baked_from(inputs, amis) if ami.is_proven), key=lambda ami: ami.status is AmiStatus.SUPERSEDED
    )
    far = (ami for ami in proven if _is_hit(target, from_status, ami))
    existing = next(far, None) or next(iter(proven), None) or ports.amis.by_name(name)
    return WantedAmi(
        inputs=inputs,
        models=models,
        name=existing.name if existing else name,
        existing=existing,
        amis=amis,
        from_status=from_status,
    )


def wanted_anew(ports: Ports, target: Target, run: Run, *, apart_from: Collection[AmiId] = ()) -> WantedAmi:
    """The same as if no proven AMI had its content; the name takes the run's id, since AWS keeps names unique.

    A candidate that a killed run left is gone on with, unless its verification failed or it is one of `apart_from`.
    """
    models, inputs = present_inputs(ports, target)
    amis = ports.amis.list(target.project)
    unfinished = (ami for ami in _baked_from(inputs, amis) if ami.is_unfinished and not ami.has_failed)
    left = next((ami for ami in unfinished if ami.id not in apart_from), None)
    name = left.name if left else f"{inputs.ami_name(target.project)}-{run.id}"
    return WantedAmi(inputs=inputs, models=models, name=name, existing=left, amis=amis)


def plan_bake(ports: Ports, target: Target, run: Run, wanted: WantedAmi) -> Plan:
    """A plan that makes a verified AMI of the locked model set exist.

    Empty when a proven AMI of the same bake digest is there, has come far enough, and is what channel `candidate` names. An AMI that a
    former run left unproven is verified when the report of its instance is at hand; otherwise it is removed, unless anything uses it by
    then, and baked again. Raises `CapctlError("ami-status-unknown")` when a newer version of capctl has set its status,
    `CapctlError("ami-not-replaced")` when it was withdrawn, or put into its state by somebody, and `CapctlError("ami-not-verified")`
    when an instance of it found it wrong.
    """
    name, existing, level = wanted.name, wanted.existing, target.proof_level
    details = inputs_told(wanted.inputs, base_from=target.settings.ami.base)
    steps: tuple[Step[Any], ...] = ()
    # Last, when the AMI is verified: a run that was killed before it leaves an AMI of the content, and the next one looks at the channel.
    name_candidate = NameCandidate(ports=ports, run=run, name=name)
    if existing and existing.is_proven:
        because = f"AMI `{existing.id}` is {existing.status} and has bake digest {wanted.inputs.digest}"
        if not _is_hit(target, wanted.from_status, existing):
            short_of = wanted.from_status if existing.is_proven_by(level) else "`ami.verify_boot`"
            because += f"; short of {short_of} it is verified again before it counts, which takes its status no further"
            steps = (ProveAmi(ports=ports, target=target, run=run, amis=ports.amis, name=name, level=level),)
        named = ports.channels.read(CANDIDATE)
        if named is None or named.ami_id != existing.id:
            because += f"; channel {CANDIDATE} names {named.ami_id if named else 'nothing'}"
            steps += (name_candidate,)
        return Plan(title=f"bake {name}", because=because, details=details, steps=steps)
    tags = bake_tags(
        wanted.inputs,
        project=target.project,
        name=name,
        commit=ports.baker.commit(),
        run=run,
        runtime_contract=wanted.models.runtime_contract,
    )
    if existing:
        require_unfinished(existing)
    if existing and _can_be_verified(ports, target, existing, wanted.models):
        _require_not_found_wrong(existing)
        because = f"AMI `{existing.id}` is there, but it is not verified"
    else:
        because, changes = why_bake(ports, target, wanted.inputs, wanted.models, wanted.amis)
        details += changes
        if existing:
            because = f"AMI `{existing.id}` is `{existing.state}` and what it holds cannot be proven"
            steps = (Deregister(ports=ports, target=target, amis=ports.amis, ami=existing),)
        base = _checked_base(ports, target, wanted)
        steps += (BakeAmi(ports=ports, target=target, run=run, base=base, models=wanted.models, name=name, tags=tags),)
    steps += finish_steps(ports, target, run, ports.amis, name=name, tags=tags, level=level)
    steps += (name_candidate,)
    return Plan(title=f"bake {name}", because=because, details=details, steps=steps)


def _baked_from(inputs: BakeInputs, amis: tuple[AmiRecord, ...]) -> tuple[AmiRecord, ...]:
    return tuple(ami for ami in amis if ami.tags.get(Tag.BAKE_DIGEST) == inputs.digest)


def _is_hit(target: Target, status: AmiStatus, ami: AmiRecord) -> bool:
    """Whether a proven AMI is taken as it is: it passed the level that the configuration asks for, and has come to the status."""
    return _has_come_to(status, ami) and ami.is_proven_by(target.proof_level)


def _has_come_to(status: AmiStatus, ami: AmiRecord) -> bool:
    """Whether an AMI has come to the status.

    One that another took the place of counts as a promoted one no more: that it was rolled back may be why.
    """
    come_to = AmiStatus.SMOKE_PASSED if ami.status is AmiStatus.SUPERSEDED else ami.known_status()
    return come_to is not None and come_to.is_at_least(status)


def _why_beside(ports: Ports, target: Target, ami: AmiRecord, models: ModelSet) -> tuple[str, ...]:
    """Why an AMI that cannot be proven keeps the name of the bake; empty where the bake goes on with it, replaces or refuses it."""
    if not ami.is_unfinished or _can_be_verified(ports, target, ami, models):
        return ()
    return why_not_removed(ports, target, ami)


def _can_be_verified(ports: Ports, target: Target, ami: AmiRecord, models: ModelSet) -> bool:
    if ami.state.is_dead:
        return False
    found = read_evidence(ports.amis, ports.objects, target, ami)
    return found is not None and not differences(found[0], models)


def _require_not_found_wrong(ami: AmiRecord) -> None:
    """Raise `CapctlError("ami-not-verified")` for an AMI that no bake pays another instance for."""
    if ami.is_found_wrong:
        raise CapctlError(
            "ami-not-verified",
            f"AMI `{ami.id}` has the content of this bake, and an instance of it found it wrong (`{ami.tags[Tag.VERIFIED]}`); it is not "
            "booted again",
            hint=ami.way_to_proof(),
        )


def _checked_base(ports: Ports, target: Target, wanted: WantedAmi) -> AmiRecord:
    """The base AMI, after all that can be known before an instance costs money."""
    ports.baker.require_programs()
    _require_within_budgets(target, wanted.models)
    base = base_record(ports, target, wanted.inputs.base_ami)
    if base.architecture != wanted.inputs.architecture:
        raise UsageError(
            "base-ami-architecture",
            f"Base AMI `{base.id}` is {base.architecture}, `ami.architecture` is {wanted.inputs.architecture}",
            hint="Correct `ami.base` or `ami.architecture`",
        )
    if missing := missing_objects(ports, target, distinct(wanted.models)):
        raise CapctlError(
            "object-missing",
            f"Model `{missing[0].file.path}` is {missing[0].why} in `{target.models_uri}`",
            hint="Run `capctl models push`, then bake again",
            details=tuple(f"{one.why}: {one.file.path}" for one in missing),
        )
    if wanted.models.runtime:
        require_described(wanted.models, _contract(ports, target, wanted.models))
    return base


def _require_within_budgets(target: Target, models: ModelSet) -> None:
    for name, key, files, budget in payload_budgets(target, models):
        if (size := sum(file.bytes for file in files)) > budget:
            largest = sorted(files, key=lambda file: file.bytes, reverse=True)[:_LARGEST]
            raise CapctlError(
                "payload-over-budget",
                f"The {name} has {size} bytes, the budget is {budget}; its largest file is `{largest[0].path}`",
                hint=f"Leave files out with `models.exclude`, or raise `{key}`",
                details=tuple(f"{file.path}: {file.bytes} bytes" for file in largest),
            )


def _contract(ports: Ports, target: Target, models: ModelSet) -> bytes | None:
    """The contract of the runtime, as the bucket has it."""
    file = next((file for file in models.runtime if file.path == CONTRACT), None)
    return b"".join(ports.objects.chunks(object_uri(target, file))) if file else None
