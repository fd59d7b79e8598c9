"""The checks of an AMI by what EC2 tells of it, and by what the instance of its bake reported."""

from dataclasses import replace

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.check import Check
from lifecycle.domain.digest import Digest
from lifecycle.domain.evidence import Evidence, differences
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.models import RUNTIME, ModelFile, ModelSet
from lifecycle.domain.tags import REQUIRED_TAGS, Tag
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.workflows.bake_evidence import why_no_evidence

_COMPLETED = "completed"


def checks_of_record(ami: AmiRecord, target: Target) -> tuple[Check, ...]:
    """Its state, its tags, that they belong together, and access to instance metadata."""
    missing = [tag for tag in REQUIRED_TAGS if not ami.tags.get(tag)]
    inputs = BakeInputs(
        model_set=Digest(ami.tags.get(Tag.MODEL_SET, "")),
        base_ami=AmiId(ami.tags.get(Tag.BASE_AMI, "")),
        recipe=Digest(ami.tags.get(Tag.RECIPE, "")),
        architecture=ami.architecture,
    )
    said = ami.tags.get(Tag.BAKE_DIGEST, "")
    # A bake beside another AMI of the same content has its run in the name, too.
    name = inputs.ami_name(target.project)
    return (
        Check(
            name="state",
            ok=ami.state is AmiState.AVAILABLE,
            expected=AmiState.AVAILABLE,
            found=ami.state,
            hint=ami.way_to_proof(),
        ),
        Check(
            name="tags",
            ok=not missing,
            expected="complete",
            found=f"{', '.join(missing)} missing" if missing else "complete",
        ),
        Check(
            name="bake digest",
            ok=said == inputs.digest and ami.name.startswith(name),
            expected=f"{inputs.digest} on AMI {name}{'' if ami.name == name else '…'}",
            found=f"{said or 'no tag'} on AMI {ami.name}",
        ),
        Check(name="IMDSv2 required", ok=ami.imds_v2, expected="yes", found="yes" if ami.imds_v2 else "no"),
    )


def checks_of_snapshots(amis: Amis, ami: AmiRecord) -> tuple[Check, ...]:
    """That they are complete and say what the AMI says."""
    snapshots = {snapshot.id: snapshot for snapshot in amis.snapshots(ami.snapshot_ids)}
    unfinished = [
        f"{name} {snapshots[name].state if name in snapshots else 'not found'}"
        for name in ami.snapshot_ids
        if name not in snapshots or snapshots[name].state != _COMPLETED
    ]
    differing = [
        f"{name} has {tag}={snapshot.tags[tag]}" if tag in snapshot.tags else f"{name} has no {tag}"
        for name, snapshot in snapshots.items()
        # The status is the AMI's alone: it decides by it, and a snapshot may have kept an earlier one.
        for tag in REQUIRED_TAGS
        if tag is not Tag.STATUS and snapshot.tags.get(tag) != ami.tags.get(tag)
    ]
    return (
        Check(
            name="snapshot",
            ok=bool(ami.snapshot_ids) and not unfinished,
            expected=_COMPLETED,
            found=", ".join(unfinished or ami.snapshot_ids) or "none",
        ),
        Check(
            name="snapshot tags",
            ok=bool(snapshots) and not differing,
            expected="as on the AMI",
            found=", ".join(differing) or ("as on the AMI" if snapshots else "none"),
        ),
    )


def checks_of_evidence(
    ports: Ports, target: Target, amis: Amis, ami: AmiRecord, found: tuple[Evidence, Digest] | None
) -> tuple[Check, ...]:
    """What its instance read back before the snapshot, against the tags and the budget."""
    if found is None:
        return (
            Check(
                name="payload evidence",
                ok=False,
                expected="a report",
                found=why_no_evidence(amis, ami),
                hint="Restore the report below `evidence/` of the target's bucket, or run `capctl ami bake --force` for another AMI",
            ),
        )
    evidence, digest = found
    recorded, models = ami.tags.get(Tag.EVIDENCE, ""), set_of(evidence)
    wrong_markers = differences(replace(evidence, files=models.files), models)
    # Another report, and an AMI without its tags, tell nothing of the AMI's content.
    is_finding = recorded == digest and bool(ami.tags.get(Tag.MODEL_SET))
    return (
        Check(
            name="payload evidence",
            ok=recorded == digest,
            expected=recorded or "a tag with its digest",
            found=f"{digest}, reported by {evidence.instance_id}",
        ),
        Check(
            name="payload digest",
            ok=models.digest == ami.tags.get(Tag.MODEL_SET),
            expected=ami.tags.get(Tag.MODEL_SET) or "a tag with its digest",
            found=f"{models.digest}, {counted(len(evidence.files), 'file')}{_named(ports, ami, evidence)}",
            is_finding=is_finding,
        ),
        Check(
            name="payload markers",
            ok=not wrong_markers,
            expected=f"{len(models.folders) + 1} of the set",
            found="; ".join(wrong_markers) or f"{len(evidence.markers)} of the set",
            is_finding=is_finding,
        ),
        *_checks_of_runtime(ami, models),
        *(
            _check_of_size(f"{'runtime' if name == RUNTIME else 'payload'} size", key, files, budget)
            for name, key, files, budget in payload_budgets(target, models)
        ),
    )


def payload_budgets(target: Target, models: ModelSet) -> tuple[tuple[str, str, tuple[ModelFile, ...], int], ...]:
    """What of a set has a budget of its own: its name, the key of the configuration, the files, and the most bytes that they may have."""
    section = target.settings.models
    budgets = [("model set", "models.budget_bytes", models.models, section.budget_bytes)]
    if models.runtime:
        budgets.append((RUNTIME, "models.runtime_budget_bytes", models.runtime, section.runtime_budget_bytes))
    return tuple(budgets)


def _check_of_size(name: str, key: str, files: tuple[ModelFile, ...], budget: int) -> Check:
    largest = max(files, key=lambda file: file.bytes, default=None)
    total = sum(file.bytes for file in files)
    size = size_text(total)
    return Check(
        name=name,
        ok=total <= budget,
        expected=f"at most {size_text(budget)}",
        found=size if total <= budget or not largest else f"{size}, the largest is `{largest.path}`",
        hint=f"Raise `{key}`, or leave files out with `models.exclude`, lock the models and bake again",
    )


def _checks_of_runtime(ami: AmiRecord, models: ModelSet) -> tuple[Check, ...]:
    """That the tag by which images and AMIs are paired tells what lies there, where there is either."""
    told, found = ami.tags.get(Tag.RUNTIME_CONTRACT, ""), models.runtime_contract
    if not told and not found:
        return ()
    check = Check(name="runtime contract", ok=told == found, expected=found or "none", found=told or "no tag")
    return (check,)


def check_of_finding(ami: AmiRecord) -> Check:
    """That the last verification which was stored found nothing wrong; what it found may be nothing that the other checks can see."""
    return Check(
        name="last finding",
        ok=not ami.has_failed,
        expected="none that failed",
        found=ami.tags.get(Tag.VERIFIED) or "none",
        hint=ami.way_to_proof(),
    )


def set_of(evidence: Evidence) -> ModelSet:
    """The model set of the files that the instance found."""
    return ModelSet(files=tuple(sorted(evidence.files, key=lambda file: file.path.encode())))


def _named(ports: Ports, ami: AmiRecord, evidence: Evidence) -> str:
    """The files that differ from the set that the AMI's tag names, where the lock file still holds that set."""
    try:
        locked = ports.model_lock.read()
    except Interrupted:
        raise
    except CapctlError:
        return ""
    if locked and locked.digest == ami.tags.get(Tag.MODEL_SET):
        return "".join(f"; {difference}" for difference in differences(evidence, locked))
    return ""
