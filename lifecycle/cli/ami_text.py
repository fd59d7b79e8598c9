"""AMIs as `ami ls` and `ami show` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.render import fields, table, time_text
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.measures import age_text, counted, size_text
from lifecycle.domain.moments import moment_text, told_moment
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import kinds_text

if TYPE_CHECKING:
    from lifecycle.cli.context import Invocation
    from lifecycle.domain.ami import AmiRecord, Grant, SnapshotRecord
    from lifecycle.domain.models import ModelFile
    from lifecycle.domain.usage import Unread, Use
    from lifecycle.workflows.list_amis import AmiDetails, AmiList


def ami_table(found: AmiList) -> str:
    """A line per AMI; "" when there is none."""
    if not found.amis:
        return ""
    rows = [
        (
            listed.ami.id,
            status_text(listed.ami),
            age_text(listed.ami.age(found.at)),
            f"{listed.ami.size_gib} GiB",
            listed.cost or "-",
            _users(listed.uses, found.unread),
        )
        for listed in found.amis
    ]
    return table(("ami", "status", "age", "size", "per month", "used by"), rows, prose=("used by",))


def ami_details(found: AmiDetails) -> str:
    """Its fields, then its model files."""
    ami = found.listed.ami
    tag = ami.tags.get
    pairs = (
        ("AMI", ami.id),
        ("name", ami.name),
        ("status", _judged(ami) or "not baked by capctl"),
        ("state", f"{ami.state}: {ami.state_reason}" if ami.state_reason else ami.state),
        *_withdrawal(ami),
        ("used by", _users(found.listed.uses, found.unread)),
        ("shared with", _grants(found.grants)),
        ("last launched", time_text(ami.last_launched)),
        ("created", time_text(ami.created)),
        ("made by", tag(Tag.MADE_BY)),
        ("run", tag(Tag.RUN)),
        ("base AMI", tag(Tag.BASE_AMI)),
        ("model set", tag(Tag.MODEL_SET)),
        *((("runtime contract", tag(Tag.RUNTIME_CONTRACT)),) if tag(Tag.RUNTIME_CONTRACT) else ()),
        ("recipe", tag(Tag.RECIPE)),
        ("git commit", tag(Tag.GIT)),
        ("bake digest", tag(Tag.BAKE_DIGEST)),
        ("evidence", tag(Tag.EVIDENCE)),
        ("verified", _verified(ami)),
        ("copied from", tag(Tag.COPIED_FROM)),
        ("architecture", ami.architecture),
        ("size", f"{ami.size_gib} GiB"),
        ("snapshots", [_snapshot(snapshot) for snapshot in found.snapshots] or ami.snapshot_ids),
        ("cost per month", found.listed.cost),
        ("IMDSv2 required", ami.imds_v2),
        ("deprecated", time_text(ami.deprecated_at)),
        ("protected", ami.is_protected),
    )
    return "\n".join((fields(pairs), *_files(found.files)))


def status_text(ami: AmiRecord) -> str:
    """How far it has come, that its last verification failed, and its state where that says more."""
    status = _judged(ami) or "-"
    return status if ami.state in {AmiState.AVAILABLE, ami.status} else f"{status}, {ami.state}"


def _judged(ami: AmiRecord) -> str:
    return ", ".join(filter(None, (ami.status, "failed" if ami.has_failed else "")))


def _withdrawal(ami: AmiRecord) -> tuple[tuple[str, str], ...]:
    """Since when it is withdrawn, by whom and why; nothing for any other."""
    at, by = ami.tags.get(Tag.DISABLED_AT, ""), ami.tags.get(Tag.DISABLED_BY)
    return (("disabled", f"since {time_text(at)}{f', by {by}' if by else ''}"),) if at else ()


def _users(uses: tuple[Use, ...], unread: tuple[Unread, ...]) -> str:
    """`?` stands for what may be missing."""
    kinds = kinds_text(uses)
    return "; ".join([*kinds, "?"] if unread else kinds) or "-"


def _grants(grants: frozenset[Grant] | None) -> str:
    if grants is None:
        return "unknown"
    return ", ".join(sorted(map(str, grants))) or "nobody"


def _verified(ami: AmiRecord) -> str:
    told, found = ami.tags.get(Tag.VERIFIED, ""), ami.finding
    at = told_moment(found.at) if found else None
    return told.replace(found.at, moment_text(at)) if found and at else told


def _snapshot(snapshot: SnapshotRecord) -> str:
    written = "" if snapshot.full_bytes is None else f", {size_text(snapshot.full_bytes)} written"
    return f"{snapshot.id} ({snapshot.size_gib} GiB{written})"


def _files(files: tuple[ModelFile, ...] | None) -> list[str]:
    if files is None:
        return ["model files: no readable report"]
    total = f"model files: {counted(len(files), 'file')}, {size_text(sum(file.bytes for file in files))}"
    rows = [(file.path, size_text(file.bytes), file.mode, file.sha256[:12]) for file in files]
    return ["", total, table(("path", "size", "mode", "sha256"), rows)] if rows else [total]


def warn_unread(invocation: Invocation, unread: tuple[Unread, ...]) -> None:
    """Say on stderr of what it is not known whether it uses an AMI."""
    for one in unread:
        invocation.terminal.warn(f"What uses an AMI may be missing: {one}")
