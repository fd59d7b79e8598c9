"""The JSON documents of `capctl ami`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, checks, utc

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiRecord
    from lifecycle.domain.plan import Done
    from lifecycle.workflows.prune import Pruning
    from lifecycle.workflows.verify_ami import AmiReport


def ami(record: AmiRecord) -> Document:
    """An AMI; what only an AMI that capctl baked has is `null` on others."""
    from lifecycle.domain.ami import Tag

    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "status": record.status,
        "created": utc(record.created),
        "architecture": record.architecture,
        "size_gib": record.size_gib,
        "snapshot_ids": list(record.snapshot_ids),
        "imds_v2": record.imds_v2,
        "bake_digest": record.tags.get(Tag.BAKE_DIGEST),
        "model_set": record.tags.get(Tag.MODEL_SET),
        "base_ami": record.tags.get(Tag.BASE_AMI),
        "recipe": record.tags.get(Tag.RECIPE),
        "evidence": record.tags.get(Tag.EVIDENCE),
        "git": record.tags.get(Tag.GIT),
        "run": record.tags.get(Tag.RUN),
    }


def ami_bake(record: AmiRecord, *, changed: bool) -> Document:
    """The fields of `capctl.ami/1`; `changed` says whether this run baked the AMI, or finished what another one left."""
    return {**ami(record), "changed": changed}


def ami_list(records: Iterable[AmiRecord]) -> Document:
    """AMIs, newest first, each as `capctl.ami/1`."""
    return {"amis": [ami(record) for record in records]}


def ami_verification(report: AmiReport, *, not_checked: Sequence[str]) -> Document:
    """The checks of an AMI, and what none of them covers."""
    return {
        "id": report.ami.id,
        "ok": not report.failed,
        "checks": checks(report.checks),
        "not_checked": list(not_checked),
    }


def ami_prune(pruning: Pruning, done: Done | None, *, now: datetime) -> Document:
    """What becomes of each AMI, newest first, and of each snapshot whose AMI is gone; a `verdict` is `keep`, `disable` or `deregister`
    of an AMI, and `keep`, `mark` or `delete` of a snapshot.

    `outcome` is what this run did, null where it did nothing. `unread` are the sources of uses that could not be read: then all stay.
    Prices are US dollars per month, upper bounds where EC2 does not tell what is stored: `saved_usd_per_month` is what this run's
    removals save, `saved_later_usd_per_month` what those save that follow from it once the grace has passed.
    """
    outcomes = outcomes_of(done)
    return {
        "changed": any(not outcome.startswith("kept") for outcome in outcomes.values()),
        "amis": [
            {
                "id": one.ami.id,
                "name": one.ami.name,
                "created": utc(one.ami.created),
                "age_days": age_days(one.ami, now=now),
                "verdict": one.fate,
                "reasons": list(one.reasons),
                "usd_per_month": round(one.cost.usd, 4),
                "is_upper_bound": one.cost.is_upper_bound,
                "outcome": outcomes.get(one.ami.id),
            }
            for one in pruning.verdicts
        ],
        "snapshots": [
            {
                "id": one.snapshot.id,
                "ami": one.snapshot.ami_id,
                "verdict": one.fate,
                "reasons": list(one.reasons),
                "usd_per_month": round(one.cost.usd, 4),
                "is_upper_bound": one.cost.is_upper_bound,
                "outcome": outcomes.get(one.snapshot.id),
            }
            for one in pruning.orphans
        ],
        "saved_usd_per_month": round(pruning.saved.usd, 4),
        "saved_later_usd_per_month": round(pruning.saved_later.usd, 4),
        "unread": [{"source": one.source, "why": one.why} for one in pruning.unread],
    }


def outcomes_of(done: Done | None) -> dict[str, str]:
    """What came of each AMI and snapshot, by id."""
    from lifecycle.workflows.prune_steps import DeleteSnapshot, DeregisterAmi, DisableAmi, MarkSnapshot

    found: dict[str, str] = {}
    for step, result in done.results if done else ():
        if isinstance(step, DisableAmi | DeregisterAmi):
            found[step.ami.id] = str(result)
        elif isinstance(step, MarkSnapshot | DeleteSnapshot):
            found[step.snapshot.id] = str(result)
    return found


def age_days(record: AmiRecord, *, now: datetime) -> int | None:
    """Whole days since the AMI was made; None where EC2 does not tell when that was."""
    return (now - datetime.fromisoformat(record.created)).days if record.created else None
