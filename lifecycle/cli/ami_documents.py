"""The JSON documents of `capctl ami`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, checks, utc

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiRecord
    from lifecycle.workflows.sweep import Swept
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


def ami_verification(report: AmiReport, *, not_checked: Sequence[str]) -> Document:
    """The checks of an AMI, and what none of them covers."""
    return {
        "id": report.ami.id,
        "ok": not report.failed,
        "checks": checks(report.checks),
        "not_checked": list(not_checked),
    }
