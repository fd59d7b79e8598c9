"""The JSON documents of the commands that remove AMIs and what bakes left, under the same rules as those of `documents.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.ami_documents import unread
from lifecycle.cli.documents import Document, utc
from lifecycle.domain.cost import monthly_usd

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.domain.ami import SnapshotRecord
    from lifecycle.domain.plan import Done
    from lifecycle.domain.retention import SnapshotVerdict, Verdict
    from lifecycle.workflows.prune import Pruning
    from lifecycle.workflows.sweep import Swept


def ami_prune(pruning: Pruning, done: Done | None, *, now: datetime) -> Document:
    """What becomes of each AMI, newest first, and of each snapshot whose AMI is gone; a `verdict` is `keep`, `disable` or `deregister`
    of an AMI, and `keep`, `mark` or `delete` of a snapshot.

    `outcome` is what this run did, null where it did nothing. `unread` are the sources of uses that could not be read: then all stay.
    Prices are US dollars per month, upper bounds where EC2 does not tell what is stored: `saved_usd_per_month` is what this run's
    removals save, `saved_later_usd_per_month` what those save that follow once the grace of what is disabled has passed; a snapshot
    counts that no AMI is left to have. `strays` are snapshots of AMIs that are gone, without any tag that tells whose they are: capctl
    leaves them. `bytes` is null where EC2 does not tell.
    """
    from lifecycle.workflows.prune import outcomes_of

    outcomes = outcomes_of(done)
    return {
        "changed": any(not outcome.startswith("kept") for outcome in outcomes.values()),
        "amis": [
            {
                "id": one.ami.id,
                "name": one.ami.name,
                "created": utc(one.ami.created),
                "age_days": None if (age := one.ami.age(now)) is None else age.days,
                **_verdict(one, outcomes.get(one.ami.id)),
            }
            for one in pruning.verdicts
        ],
        "snapshots": [
            {
                "id": one.snapshot.id,
                "ami": one.snapshot.ami_id,
                **_verdict(one, outcomes.get(one.snapshot.id)),
            }
            for one in pruning.orphans
        ],
        "strays": [_stray(one) for one in pruning.strays],
        "saved_usd_per_month": round(pruning.saved.usd, 4),
        "saved_later_usd_per_month": round(pruning.saved_later.usd, 4),
        "unread": unread(pruning.unread),
    }


def _stray(snapshot: SnapshotRecord) -> Document:
    cost = monthly_usd([snapshot])
    return {
        "id": snapshot.id,
        "ami": snapshot.ami_id,
        "created": utc(snapshot.started),
        "bytes": snapshot.full_bytes,
        "usd_per_month": round(cost.usd, 4),
        "is_upper_bound": cost.is_upper_bound,
    }


def ami_sweep(swept: Swept) -> Document:
    """What became of each leftover: `removed`, `kept`, or `left` where it should have gone and did not."""
    return {
        "changed": swept.is_changed,
        "leftovers": [
            {
                "outcome": outcome,
                "kind": verdict.item.kind,
                "id": verdict.item.id,
                "name": verdict.item.name or None,
                "run": verdict.run_id or None,
                "created": utc(verdict.item.created.isoformat()) if verdict.item.created else None,
                "because": verdict.because,
            }
            for verdict, outcome in swept.outcomes()
        ],
    }


def _verdict(of: Verdict | SnapshotVerdict, outcome: str | None) -> Document:
    return {
        "verdict": of.fate,
        "reasons": list(of.reasons),
        "usd_per_month": round(of.cost.usd, 4),
        "is_upper_bound": of.cost.is_upper_bound,
        "outcome": outcome,
    }
