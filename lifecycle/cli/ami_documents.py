"""The JSON documents of `capctl ami`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, checks, utc

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiId, AmiRecord, Grant
    from lifecycle.domain.ami_difference import AmiContent, AmiDifference
    from lifecycle.domain.models import ModelFile
    from lifecycle.domain.usage import Unread
    from lifecycle.workflows.copy_ami import Copy
    from lifecycle.workflows.list_amis import AmiDetails, AmiList, ListedAmi
    from lifecycle.workflows.list_channels import ChannelState
    from lifecycle.workflows.verify_ami import AmiReport


def ami(found: AmiDetails) -> Document:
    """An AMI; what only an AMI that capctl baked has is `null` on others, as are `disabled_at` and
    `disabled_by` unless it is withdrawn. `files` are `null` without a readable report of its instance.

    `monthly_usd` is an upper bound where EC2 does not tell what was written to the snapshots, and `null` where they are not ours.
    `uses` are everything of the account that names it; where something is `unread` there may be more. `shared_with` is as in
    `capctl.ami-share/1`, and `null` where AWS does not tell, as of AMIs of others.
    """
    return {
        **_listed(found.listed),
        "snapshots": [
            {"id": snapshot.id, "state": snapshot.state, "size_gib": snapshot.size_gib, "written_bytes": snapshot.full_bytes,
             "encrypted": snapshot.encrypted}
            for snapshot in found.snapshots
        ],
        "files": None if found.files is None else [
            {"path": file.path, **_file(file)} for file in found.files
        ],
        "shared_with": None if found.grants is None else _grants(found.grants),
        "unread": unread(found.unread),
    }  # fmt: skip


def ami_bake(record: AmiRecord, *, changed: bool) -> Document:
    """The fields of `capctl.ami/1` that the AMI itself tells; `changed` says whether this run baked it, or finished what another one
    left."""
    return {**_record(record), "changed": changed}


def ami_list(found: AmiList) -> Document:
    """AMIs, newest first, each with the fields of `capctl.ami/1` but its snapshots, files and grants. Of `uses` only the releases and
    the channels are read."""
    return {"amis": [_listed(each) for each in found.amis], "unread": unread(found.unread)}


def ami_diff(found: AmiDifference) -> Document:
    """What `b` holds and `a` does not, and the other way round; `b.ami` is `null` for what would be baked now.

    `inputs` and `files` name what is not the same, `null` where a file is not there at all. They are `equal` when nothing differs but
    the git commit.
    """

    def side(content: AmiContent) -> Document:
        return {
            "ami": content.ami_id,
            "base_ami": content.base_ami or None,
            "recipe": content.recipe or None,
            "architecture": content.architecture or None,
            "git": content.commit or None,
            "files": len(content.files),
            "bytes": content.total_bytes,
        }

    def file(content: ModelFile | None) -> Document | None:
        return _file(content) if content else None

    kinds = [change.kind.value for change in found.files]
    return {
        "equal": found.is_equal,
        "a": side(found.before),
        "b": side(found.after),
        "inputs": [{"name": change.name, "a": change.before or None, "b": change.after or None} for change in found.inputs],
        "files": [
            {"path": change.path, "change": change.kind, "a": file(change.before), "b": file(change.after)}
            for change in found.files
        ],
        "sums": {kind: kinds.count(kind) for kind in ("added", "removed", "changed")},
    }  # fmt: skip


def ami_verification(report: AmiReport, *, not_checked: Sequence[str]) -> Document:
    """The checks of an AMI, and what none of them covers. `level` is what it passed: `payload`, `boot`, or null for a failure."""
    return {
        "id": report.ami.id,
        "ok": not report.failed,
        "level": report.proven,
        "checks": checks(report.checks),
        "not_checked": list(not_checked),
    }


def _record(record: AmiRecord) -> Document:
    from lifecycle.domain.tags import Tag

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
        "protected": record.is_protected,
        "deprecated_at": utc(record.deprecated_at) or None,
        "disabled_at": utc(record.tags.get(Tag.DISABLED_AT, "")) or None,
        "disabled_by": record.tags.get(Tag.DISABLED_BY),
        "last_launched": utc(record.last_launched) or None,
        "bake_digest": record.tags.get(Tag.BAKE_DIGEST),
        "model_set": record.tags.get(Tag.MODEL_SET),
        "runtime_contract": record.tags.get(Tag.RUNTIME_CONTRACT),
        "base_ami": record.tags.get(Tag.BASE_AMI),
        "recipe": record.tags.get(Tag.RECIPE),
        "evidence": record.tags.get(Tag.EVIDENCE),
        "verified": record.tags.get(Tag.VERIFIED),
        "git": record.tags.get(Tag.GIT),
        "made_by": record.tags.get(Tag.MADE_BY),
        "copied_from": record.tags.get(Tag.COPIED_FROM),
        "run": record.tags.get(Tag.RUN),
    }


def ami_deprecation(record: AmiRecord, *, changed: bool) -> Document:
    """From when on an AMI is advised against, to the minute; `null` when it is not."""
    return {"id": record.id, "deprecated_at": utc(record.deprecated_at) or None, "changed": changed}


def ami_disable(record: AmiRecord, *, taken_from: Iterable[str] = (), changed: bool) -> Document:
    """An AMI that was withdrawn, or is back; `disabled_at` and `disabled_by`, who did it and why, are `null` unless it is withdrawn.
    `taken_from` are the accounts, organisations and units that lost a grant on it or on its snapshots; no command gives them back
    unasked."""
    from lifecycle.domain.tags import Tag

    return {
        "id": record.id,
        "state": record.state,
        "status": record.status,
        "disabled_at": utc(record.tags.get(Tag.DISABLED_AT, "")) or None,
        "disabled_by": record.tags.get(Tag.DISABLED_BY),
        "taken_from": list(taken_from),
        "changed": changed,
    }


def ami_copy(source: AmiId, region: str, copies: Iterable[Copy]) -> Document:
    """What came of each region; `region` is that of the source. Of a copy that failed, `id` and `status` are `null`."""
    return {
        "id": source,
        "region": region,
        "copies": [
            {
                "region": copy.region,
                "id": copy.ami.id if copy.ami else None,
                "status": copy.ami.status if copy.ami else None,
                "changed": copy.is_changed,
                "error": {"code": copy.failure.code, "message": copy.failure.message} if copy.failure else None,
            }
            for copy in copies
        ],
    }


def ami_share(ami_id: AmiId, grants: Collection[Grant], *, changed: bool) -> Document:
    """Whom an AMI is shared with; `public` says that everybody has it, which capctl never does."""
    return {"id": ami_id, **_grants(grants), "changed": changed}


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


def _listed(listed: ListedAmi) -> Document:
    cost = listed.cost
    return {
        **_record(listed.ami),
        "monthly_usd": round(cost.usd, 4) if cost else None,
        "monthly_usd_is_upper_bound": cost.is_upper_bound if cost else None,
        "uses": [{"kind": use.kind, "name": use.name, "detail": use.detail} for use in listed.uses],
    }


def _file(file: ModelFile) -> Document:
    return {"bytes": file.bytes, "sha256": file.sha256, "mode": file.mode}


def _grants(grants: Collection[Grant]) -> Document:
    return {
        "accounts": sorted(grant.account for grant in grants if grant.account),
        "organizations": sorted(grant.organization for grant in grants if grant.organization),
        "units": sorted(grant.unit for grant in grants if grant.unit),
        "public": any(grant.group for grant in grants),
    }


def unread(sources: Iterable[Unread]) -> list[Document]:
    """The sources of uses that could not be read, and why."""
    return [{"source": one.source, "why": one.why} for one in sources]
