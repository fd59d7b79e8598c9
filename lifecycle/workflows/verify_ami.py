"""`ami verify`: an AMI by its record, by what was read before its snapshot, and by an instance that reads it again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from lifecycle.config.target import Target
from lifecycle.domain.ami import REQUIRED_TAGS, AmiId, AmiRecord, AmiState, BakeInputs, Tag
from lifecycle.domain.boot import boot_checks
from lifecycle.domain.check import Check
from lifecycle.domain.digest import Digest
from lifecycle.domain.evidence import Evidence, differences
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.models import ModelSet
from lifecycle.domain.moments import iso_text
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_EVIDENCE
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.clock import Clock
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.boot_ami import BOOT_AMI, boot_ami

PERMISSIONS = {"ami verify": (*READ_AMIS, *READ_CHANNEL, *READ_EVIDENCE)}

# Said with every report, so that nobody takes it for more than it is.
_A_BOOT = "a boot of the AMI"
NOT_CHECKED = ("the blocks of the snapshot", _A_BOOT, "a job on it (`capctl smoke`)")
_COMPLETED = "completed"
_FAILED = "failed"


class Level(StrEnum):
    """What was proven: the payload before the snapshot was taken, or also the payload on an instance of the AMI."""

    PAYLOAD = "payload"
    BOOT = "boot"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiReport:
    """Every check of one AMI. `models` is the set that its tag names, None where no report of its instance holds it."""

    ami: AmiRecord
    checks: tuple[Check, ...]
    models: ModelSet | None = None
    level: Level = Level.PAYLOAD

    def __str__(self) -> str:
        return f"{len(self.checks) - len(self.failed)} checks passed{f', {len(self.failed)} failed' if self.failed else ''}"

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def proven(self) -> Level | None:
        """The level that the AMI passed."""
        return None if self.failed else self.level

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What none of the checks covers."""
        return tuple(name for name in NOT_CHECKED if self.level is not Level.BOOT or name != _A_BOOT)


def verify_ami(ports: Ports, target: Target, amis: Amis, ami_id: AmiId) -> AmiReport:
    """Check state, tags, access to instance metadata, and what the instance of the bake read back before the snapshot.

    `amis` are those of the AMI's region; reports of instances are in the target's bucket, wherever a copy is.
    """
    ami = amis.get(ami_id)
    found = read_evidence(amis, ports.objects, target, ami)
    models = _set_of(found[0]) if found else None
    return AmiReport(
        ami=ami,
        checks=(
            *_checks_of_record(ami, target),
            *_checks_of_snapshots(amis, ami),
            *_checks_of_evidence(ports, target, ami, found),
        ),
        models=models if models and models.digest == ami.tags.get(Tag.MODEL_SET) else None,
    )


def verify_by_boot(
    ports: Ports, target: Target, run: Run, ami_id: AmiId, *, carry_out: Callable[[Plan], Done | None]
) -> AmiReport | None:
    """The same, and then start an instance of the AMI that reads it again; an AMI that fails before costs none.

    `carry_out` executes the plan, or prints it and returns None: then None is returned.
    """
    report = verify_ami(ports, target, ports.amis, ami_id)
    if report.failed:
        return report
    steps = (BootAmi(ports=ports, target=target, run=run, report=report),)
    done = carry_out(Plan(title=f"boot {ami_id}", because="only an instance shows what it holds", steps=steps))
    return done.of(BootAmi) if done else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootAmi:
    """Let an instance of the AMI read its disk again, and tag the AMI with the level that it passed."""

    ports: Ports
    target: Target
    run: Run
    report: AmiReport
    permissions: tuple[str, ...] = (*READ_AMIS, *BOOT_AMI)

    def describe(self) -> str:
        return f"boot an instance of {self.report.ami.id} that reads every model, and end it"

    def apply(self) -> AmiReport:
        report = booted(self.ports, self.target, self.run, self.report)
        tag_level(self.ports.amis, self.ports.clock, report)
        return report

    def verify(self, result: AmiReport) -> None:
        require_level(self.ports.amis, result)


def booted(ports: Ports, target: Target, run: Run, report: AmiReport) -> AmiReport:
    """A report that failed nowhere, with the checks of an instance of the AMI; a simulated one lifts no level."""
    assert report.models, "a report that failed nowhere names its set"
    told = boot_ami(ports, target, run, report.ami.id, report.models)
    return replace(
        report,
        checks=(*report.checks, *boot_checks(told, report.models)),
        level=report.level if told.simulated else Level.BOOT,
    )


def tag_level(amis: Amis, clock: Clock, report: AmiReport) -> None:
    """Store on the AMI what was proven and when, or that it failed: what an earlier look proved is no longer so."""
    at = iso_text(clock.now())
    amis.tag(report.ami.id, {Tag.VERIFIED.value: f"{report.proven or _FAILED} {at}"})


def require_level(amis: Amis, report: AmiReport) -> None:
    """Read that back. Raises `CapctlError("tags-not-set")`."""
    found = amis.get(report.ami.id).tags.get(Tag.VERIFIED, "")
    if found.partition(" ")[0] != (report.proven or _FAILED):
        raise CapctlError(
            "tags-not-set",
            f"AMI `{report.ami.id}` has {f'tag `{Tag.VERIFIED}={found}`' if found else f'no tag `{Tag.VERIFIED}`'} after another was set",
            hint="Look at it with `capctl ami show`, then run the same command again",
            may_pass=True,
        )


def ami_rejection(report: AmiReport) -> CapctlError | None:
    """The error that the report amounts to, if any."""
    if not report.failed:
        return None
    return CapctlError(
        "ami-not-verified",
        f"AMI `{report.ami.id}` fails {len(report.failed)} of {counted(len(report.checks), 'check')}",
        # A bake takes a proven one as it is.
        hint=f"Run `capctl ami bake{' --force' if report.ami.is_proven else ''}` for an AMI that passes",
        details=tuple(check.line for check in report.failed),
    )


def _checks_of_record(ami: AmiRecord, target: Target) -> tuple[Check, ...]:
    missing = [tag for tag in REQUIRED_TAGS if not ami.tags.get(tag)]
    inputs = BakeInputs(
        model_set=Digest(ami.tags.get(Tag.MODEL_SET, "")),
        base_ami=AmiId(ami.tags.get(Tag.BASE_AMI, "")),
        recipe=Digest(ami.tags.get(Tag.RECIPE, "")),
        architecture=ami.architecture,
    )
    said = ami.tags.get(Tag.BAKE_DIGEST, "")
    return (
        Check(name="state", ok=ami.state is AmiState.AVAILABLE, expected=AmiState.AVAILABLE, found=ami.state),
        Check(
            name="tags",
            ok=not missing,
            expected="complete",
            found=f"{', '.join(missing)} missing" if missing else "complete",
        ),
        Check(
            name="bake digest",
            ok=said == inputs.digest and ami.name.startswith(inputs.ami_name(target.project)),
            expected=f"{inputs.digest} on AMI {inputs.ami_name(target.project)}",
            found=f"{said or 'no tag'} on AMI {ami.name}",
        ),
        Check(name="IMDSv2 required", ok=ami.imds_v2, expected="yes", found="yes" if ami.imds_v2 else "no"),
    )


def _checks_of_snapshots(amis: Amis, ami: AmiRecord) -> tuple[Check, ...]:
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


def _checks_of_evidence(
    ports: Ports, target: Target, ami: AmiRecord, found: tuple[Evidence, Digest] | None
) -> tuple[Check, ...]:
    if found is None:
        return (
            Check(
                name="payload evidence",
                ok=False,
                expected="a report",
                found="no report of the instance it was made from",
            ),
        )
    evidence, digest = found
    recorded, budget = ami.tags.get(Tag.EVIDENCE, ""), target.settings.models.budget_bytes
    models = _set_of(evidence)
    wrong_markers = differences(replace(evidence, files=models.files), models)
    largest = max(evidence.files, key=lambda file: file.bytes, default=None)
    size = size_text(evidence.total_bytes)
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
        ),
        Check(
            name="payload markers",
            ok=not wrong_markers,
            expected=f"{len(models.folders) + 1} of the set",
            found="; ".join(wrong_markers) or f"{len(evidence.markers)} of the set",
        ),
        Check(
            name="payload size",
            ok=evidence.total_bytes <= budget,
            expected=f"at most {size_text(budget)}",
            found=size if evidence.total_bytes <= budget or not largest else f"{size}, the largest is `{largest.path}`",
        ),
    )


def _set_of(evidence: Evidence) -> ModelSet:
    """The model set of the files that the instance found."""
    return ModelSet(files=tuple(sorted(evidence.files, key=lambda file: file.path.encode())))


def _named(ports: Ports, ami: AmiRecord, evidence: Evidence) -> str:
    """The files that differ from the set that the AMI's tag names, where the lock file still holds that set."""
    with suppress(CapctlError):
        locked = ports.model_lock.read()
        if locked and locked.digest == ami.tags.get(Tag.MODEL_SET):
            return "".join(f"; {difference}" for difference in differences(evidence, locked))
    return ""
