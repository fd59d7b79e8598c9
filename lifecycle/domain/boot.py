"""What an instance of an AMI reports that read its own disk again."""

import json
import re
from dataclasses import dataclass

from lifecycle.domain.check import Check
from lifecycle.domain.evidence import Evidence, differences, parse_evidence
from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelSet
from lifecycle.errors import CapctlError

FAILURE_SCHEMA = "capctl.boot-failure/1"
_LINE = re.compile(r"capctl-bake: (?P<code>[a-z-]+): (?P<subject>.*?): (?P<why>.*)")
# The check ran to its end and found something; every other code tells why it did not.
_FINDINGS = {"payload-mismatch": "boot: payload", "leftover": "boot: leftovers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFailure:
    """What the check ended with, such as `payload-mismatch`, `models/age.onnx`, `mode 0644, expected 0444`."""

    code: str
    subject: str
    why: str

    @property
    def is_finding(self) -> bool:
        """Whether it is said of the disk, not of the check."""
        return self.code in _FINDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """`outcome` is what lay on the disk when the check passed. `simulated` says why no instance booted, on a stage that has none."""

    outcome: Evidence | BootFailure
    simulated: str


def parse_boot_report(data: bytes) -> BootReport:
    """Raises `CapctlError("evidence-invalid")`."""
    try:
        document = json.loads(data.decode(errors="replace"))
        told = _LINE.fullmatch(document["line"]) if document["schema"] == FAILURE_SCHEMA else None
        outcome = BootFailure(**told.groupdict()) if told else parse_evidence(document)
        return BootReport(outcome=outcome, simulated=str(document.get("simulated", "")))
    except (KeyError, TypeError, ValueError) as error:
        raise CapctlError(
            "evidence-invalid",
            f"What the instance reported cannot be read: {error}",
            hint="Run `capctl ami verify --boot` again; if it repeats, `capctl ami bake --force` makes another AMI",
        ) from error


def boot_checks(report: BootReport, models: ModelSet) -> tuple[Check, ...]:
    """What the report proves of an AMI that should hold `models`."""
    suffix = f", simulated: {report.simulated}" if report.simulated else ""
    payload = f"{models.digest}, {counted(len(models.files), 'file')}"
    wanted = {"boot: payload": payload, "boot: leftovers": "none"}
    outcome = report.outcome
    if isinstance(outcome, BootFailure):
        found = {_FINDINGS[outcome.code]: f"`{outcome.subject}`: {outcome.why}"}
    else:
        found = {"boot: payload": "; ".join(differences(outcome, models)) or payload, "boot: leftovers": "none"}
    return tuple(
        Check(name=name, ok=text == wanted[name], expected=wanted[name], found=text + suffix, is_finding=True)
        for name, text in found.items()
    )
