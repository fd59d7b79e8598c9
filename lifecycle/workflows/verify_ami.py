"""`ami verify`: an AMI by its record, by what was read before its snapshot, and by an instance that reads it again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import TAKEN_BACK, AmiStatus
from lifecycle.domain.boot import boot_checks
from lifecycle.domain.check import Check
from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelSet
from lifecycle.domain.moments import iso_text
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_EVIDENCE, READ_GRANTS
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.proof import Finding, Level, combined
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import READ_BACK
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.wait import until_it_passes, wait_for
from lifecycle.workflows.ami_checks import (
    check_of_finding,
    checks_of_evidence,
    checks_of_record,
    checks_of_snapshots,
    set_of,
)
from lifecycle.workflows.ami_status import require_tags
from lifecycle.workflows.ami_uses import grants_on, if_readable
from lifecycle.workflows.bake_evidence import read_evidence
from lifecycle.workflows.boot_ami import BOOT_AMI, boot_ami
from lifecycle.workflows.lookups import own_ami

PERMISSIONS = {"ami verify": (*READ_AMIS, *READ_CHANNEL, *READ_EVIDENCE)}

# Said with every report, so that nobody takes it for more than it is.
_A_BOOT = "a boot of the AMI"
NOT_CHECKED = ("the blocks of the snapshot", _A_BOOT, "a job on it (`capctl smoke`)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiReport:
    """Every check of one AMI. `models` is the set that its tag names, None where no report of its instance holds it.

    `stored` are the tags that tell of it on the AMI; a report that was only read has none.
    """

    ami: AmiRecord
    checks: tuple[Check, ...]
    models: ModelSet | None = None
    level: Level = Level.PAYLOAD
    stored: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{len(self.checks) - len(self.failed)} checks passed{f', {len(self.failed)} failed' if self.failed else ''}"

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def is_found_wrong(self) -> bool:
        """Whether the content is not what it should be; what failed otherwise is not in order, or could not be looked at."""
        return any(check.is_finding for check in self.failed)

    @property
    def proven(self) -> Level | None:
        """The level that the AMI passed."""
        return None if self.failed else self.level

    @property
    def not_checked(self) -> tuple[str, ...]:
        """What none of the checks covers."""
        return tuple(name for name in NOT_CHECKED if self.level is not Level.BOOT or name != _A_BOOT)


def verify_ami(ports: Ports, target: Target, amis: Amis, ami_id: AmiId) -> AmiReport:
    """Check state, tags, access to instance metadata, what the instance of the bake read back before the snapshot, and what the last
    verification found.

    `amis` are those of the AMI's region; reports of instances are in the target's bucket, wherever a copy is.
    """
    return _with_last_finding(_looked_at(ports, target, amis, ami_id))


def verify_by_boot(
    ports: Ports, target: Target, run: Run, ami_id: AmiId, *, carry_out: Callable[[Plan], Done | None]
) -> AmiReport | None:
    """The same, but for the last finding, and then start an instance of the AMI that reads it again.

    What it comes to is stored on the AMI. One that fails before costs no instance, and nothing is stored unless its content is wrong.
    `carry_out` executes the plan, or prints it and returns None: then None is returned. Raises `CapctlError("ami-foreign")`.
    """
    own_ami(ports.amis, target, ami_id)
    report = _looked_at(ports, target, ports.amis, ami_id)
    if report.failed and not report.is_found_wrong:
        return _with_last_finding(report)
    if report.is_found_wrong:
        level, title, because = (
            Level.PAYLOAD,
            f"verify {ami_id}",
            "its payload is wrong, so that no instance is started",
        )
    else:
        level, title, because = Level.BOOT, f"boot {ami_id}", "only an instance shows what it holds"
    step = VerifyAmi(ports=ports, target=target, run=run, ami_id=ami_id, level=level)
    done = carry_out(Plan(title=title, because=because, steps=(step,)))
    return done.of(VerifyAmi) if done else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAmi:
    """Look at the AMI again, for `boot` by an instance that reads its disk, and tag the AMI with what was found."""

    ports: Ports
    target: Target
    run: Run
    ami_id: AmiId
    level: Level
    permissions: tuple[str, ...] = (*READ_EVIDENCE, *READ_GRANTS, *BOOT_AMI)

    def describe(self) -> str:
        if self.level is Level.BOOT:
            return f"boot an instance of {self.ami_id} that reads every model, and end it"
        return f"tag {self.ami_id} with what is wrong by the report of its bake"

    def apply(self) -> AmiReport:
        return prove(self.ports, self.target, self.run, self.ports.amis, self.ami_id, self.level)

    def verify(self, result: AmiReport) -> None:
        require_stored(self.ports.amis, result)


def asked_level(target: Target, ami: AmiRecord) -> Level:
    """The level that a proof must reach: what the configuration asks for, and no less than where the AMI failed."""
    failed = ami.finding.level if ami.finding and ami.has_failed else Level.PAYLOAD
    return target.proof_level if target.proof_level.is_at_least(failed) else failed


def prove(ports: Ports, target: Target, run: Run, amis: Amis, ami_id: AmiId, level: Level) -> AmiReport:
    """Verify an AMI up to the level, and store on it what was found. A candidate that passes is verified then, and one whose content is
    wrong is a candidate again, if it was not promoted yet.

    What fails counts when it still does after the time in which EC2 may tell of the AMI as it was before its last change. Raises
    `CapctlError("ami-not-verified")`, and stores nothing, when something else than its content is not in order, and when it passed, but
    had failed at a level that was not reached now.
    """
    report = wait_for(
        lambda: _looked_at(ports, target, amis, ami_id), lambda found: not found.failed, READ_BACK, ports.clock
    )
    if report.failed and not report.is_found_wrong:
        raise _rejection(report)
    if level is Level.BOOT and not report.failed:
        report = _booted(ports, target, run, report)
    return _stored(ports, amis, report)


def _stored(ports: Ports, amis: Amis, report: AmiReport) -> AmiReport:
    """Tag the AMI, as it is now, with what was found and with the status that follows."""
    ami = amis.get(report.ami.id)
    new = Finding(level=report.level, is_failure=report.is_found_wrong, at=iso_text(ports.clock.now()))
    stands = combined(ami.finding, new)
    if stands.is_failure and not new.is_failure:
        raise CapctlError(
            "ami-not-verified",
            f"AMI `{ami.id}` passes by {new.level}, and is tagged `{Tag.VERIFIED}={ami.tags[Tag.VERIFIED]}`, which only a proof by "
            f"{stands.level} lifts",
            hint=f"Run `capctl ami verify {ami.id} --boot` with a target in its region, or `capctl ami bake --force` for another AMI",
        )
    tags = {Tag.VERIFIED.value: str(stands)}
    if not stands.is_failure and ami.status is AmiStatus.CANDIDATE:
        tags[Tag.STATUS.value] = AmiStatus.VERIFIED.value
    amis.tag(ami.id, tags)
    stored = replace(report, ami=ami, stored=tags)
    if stands.is_failure:
        stored = _taken_back(ports, amis, stored)
        _tell_of_grants(ports, amis, ami)
    return stored


def _taken_back(ports: Ports, amis: Amis, report: AmiReport) -> AmiReport:
    """Lower the status of an AMI that is tagged as failed. Every gate judges by that tag, so none gives it a status any more; and one that
    it got before is told by the look that tells of the tag."""
    ami = until_it_passes(partial(require_stored, amis, report), READ_BACK, ports.clock)
    report = replace(report, ami=ami)
    if ami.status in TAKEN_BACK:
        status = {Tag.STATUS.value: AmiStatus.CANDIDATE.value}
        amis.tag(ami.id, status)
        ports.ui.warn(f"AMI `{ami.id}` was {ami.status}, and is a {AmiStatus.CANDIDATE} again")
        return replace(report, stored={**report.stored, **status})
    if ami.status in {AmiStatus.PROMOTED, AmiStatus.SUPERSEDED}:
        ports.ui.warn(
            f"AMI `{ami.id}` is {ami.status}, so releases may run on it: nothing takes it any more, but those go on; promote another AMI "
            "and deploy it"
        )
    return report


def _tell_of_grants(ports: Ports, amis: Amis, ami: AmiRecord) -> None:
    """Whom no tag keeps from starting the AMI."""
    grants = if_readable(lambda: grants_on(amis, ami))
    if grants is None:
        ports.ui.warn(f"With whom AMI `{ami.id}` is shared cannot be read")
    elif grants:
        shared = ", ".join(sorted(map(str, grants)))
        ports.ui.warn(
            f"AMI `{ami.id}` is shared with {shared}, who can go on using it: `capctl ami share {ami.id} --revoke --with …` ends that"
        )


def require_stored(amis: Amis, report: AmiReport) -> AmiRecord:
    """Read back what was stored of a report; returns the AMI as it is now. Raises `CapctlError("tags-not-set")`."""
    ami = amis.get(report.ami.id)
    require_tags(ami, report.stored)
    return ami


def _booted(ports: Ports, target: Target, run: Run, report: AmiReport) -> AmiReport:
    """A report that failed nowhere, with the checks of an instance of the AMI; a simulated one lifts no level."""
    assert report.models, "a report that failed nowhere names its set"
    told = boot_ami(ports, target, run, report.ami.id, report.models)
    return replace(
        report,
        checks=(*report.checks, *boot_checks(told, report.models)),
        level=report.level if told.simulated else Level.BOOT,
    )


def ami_rejection(report: AmiReport) -> CapctlError | None:
    """The error that the report amounts to, if any."""
    return _rejection(report) if report.failed else None


def _rejection(report: AmiReport) -> CapctlError:
    return CapctlError(
        "ami-not-verified",
        f"AMI `{report.ami.id}` fails {len(report.failed)} of {counted(len(report.checks), 'check')}",
        hint=_way_out(report),
        details=tuple(check.line for check in report.failed),
    )


def _way_out(report: AmiReport) -> str:
    if report.ami.status is None:
        return report.ami.way_to_proof()
    if report.is_found_wrong:
        return report.ami.way_from_failure()
    # A bake takes a proven one as it is, and goes on with one whose reports are in order.
    another = f"Run `capctl ami bake{' --force' if report.ami.is_proven else ''}` for an AMI that passes"
    return next((check.hint for check in report.failed if check.hint), another)


def _looked_at(ports: Ports, target: Target, amis: Amis, ami_id: AmiId) -> AmiReport:
    """What can be seen of the AMI without an instance of it, whatever was found before."""
    ami = amis.get(ami_id)
    found = read_evidence(amis, ports.objects, target, ami)
    models = set_of(found[0]) if found else None
    return AmiReport(
        ami=ami,
        checks=(
            *checks_of_record(ami, target),
            *checks_of_snapshots(amis, ami),
            *checks_of_evidence(ports, target, amis, ami, found),
        ),
        models=models if models and models.digest == ami.tags.get(Tag.MODEL_SET) else None,
    )


def _with_last_finding(report: AmiReport) -> AmiReport:
    return replace(report, checks=(*report.checks, check_of_finding(report.ami)))
