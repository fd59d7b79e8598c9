"""`ami verify`: what can be said of an AMI without booting it."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import REQUIRED_TAGS, AmiId, AmiRecord, AmiState, BakeInputs, Tag
from lifecycle.domain.check import Check
from lifecycle.domain.digest import Digest
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.models import ModelSet
from lifecycle.domain.permissions import READ_AMIS, READ_EVIDENCE
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.bake_evidence import read_evidence

PERMISSIONS = {"ami verify": (*READ_AMIS, *READ_EVIDENCE)}

# Said with every report, so that nobody takes it for more than it is.
NOT_CHECKED = ("the blocks of the snapshot", "a boot of the AMI", "a job on it (`capctl smoke`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiReport:
    """Every check of one AMI."""

    ami: AmiRecord
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        return f"{len(self.checks) - len(self.failed)} checks passed"

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.ok)


def verify_ami(ports: Ports, target: Target, ami_id: AmiId) -> AmiReport:
    """Check state, tags, access to instance metadata, and what the instance of the bake read back before the snapshot."""
    ami = ports.amis.get(ami_id)
    return AmiReport(ami=ami, checks=(*_checks_of_record(ami, target), *_checks_of_evidence(ports, target, ami)))


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
            name="snapshot",
            ok=bool(ami.snapshot_ids),
            expected="at least one",
            found=", ".join(ami.snapshot_ids) or "none",
        ),
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


def _checks_of_evidence(ports: Ports, target: Target, ami: AmiRecord) -> tuple[Check, ...]:
    found = read_evidence(ports, target, ami)
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
    payload = ModelSet(files=tuple(sorted(evidence.files, key=lambda file: file.path.encode()))).digest
    return (
        Check(
            name="payload evidence",
            ok=recorded == digest,
            expected=recorded or "a tag with its digest",
            found=f"{digest}, reported by {evidence.instance_id}",
        ),
        Check(
            name="payload digest",
            ok=payload == ami.tags.get(Tag.MODEL_SET),
            expected=ami.tags.get(Tag.MODEL_SET) or "a tag with its digest",
            found=f"{payload}, {counted(len(evidence.files), 'file')}",
        ),
        Check(
            name="payload size",
            ok=evidence.total_bytes <= budget,
            expected=f"at most {size_text(budget)}",
            found=size_text(evidence.total_bytes),
        ),
    )
