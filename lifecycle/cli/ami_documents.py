"""The JSON documents of `capctl ami`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, checks, utc

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiRecord
    from lifecycle.workflows.list_channels import ChannelState
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


def ami_channel(states: Sequence[ChannelState]) -> Document:
    """A channel and all that it named, newest first; each entry as in `capctl.ami-channel-list/1`."""
    return {"channel": states[0].entry.channel, "history": [_channel_state(state) for state in states]}


def ami_channel_list(states: Iterable[ChannelState]) -> Document:
    """What each channel names: since when, by whom and why; `status` is `null` when the project has no such AMI any more."""
    return {"channels": [_channel_state(state) for state in states]}


def ami_promotion(state: ChannelState, *, changed: bool) -> Document:
    """What a channel names now, as in `capctl.ami-channel-list/1`; `changed` says whether this run moved it or tagged an AMI."""
    return {**_channel_state(state), "changed": changed}


def _channel_state(state: ChannelState) -> Document:
    entry = state.entry
    return {
        "channel": entry.channel,
        "version": entry.version,
        "ami": entry.ami_id,
        "status": state.ami.status if state.ami else None,
        "since": utc(entry.since),
        "by": entry.note.by,
        "reason": entry.note.reason,
        "is_rollback": entry.note.is_rollback,
    }
