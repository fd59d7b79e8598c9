"""Documents about AMIs."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lifecycle.cli import ami_documents, ami_removal_documents
from lifecycle.domain import sweep
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_difference import AmiContent, difference
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.channel import Channel, ChannelEntry, Note
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.digest import digest_of
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.retention import Fate, SnapshotVerdict, Verdict
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from lifecycle.workflows.copy_ami import Copy
from lifecycle.workflows.deregister import Removal
from lifecycle.workflows.list_amis import AmiDetails, AmiList, ListedAmi
from lifecycle.workflows.list_channels import ChannelState
from lifecycle.workflows.prune import Pruning
from lifecycle.workflows.prune_steps import DeregisterAmi
from lifecycle.workflows.prune_world import Scan
from lifecycle.workflows.sweep import Swept
from lifecycle.workflows.verify_ami import AmiReport
from tests.dev.samples.common import AT, CHECKS, MODELS, UNREAD
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target

_AMI = AmiRecord(
    id=AmiId("ami-0123456789abcdef0"),
    name="vision-models-0123456789ab-01234567",
    state=AmiState.AVAILABLE,
    state_reason="",
    created="2026-11-21T15:07:02.000Z",
    architecture="x86_64",
    snapshot_ids=("snap-0123456789abcdef0",),
    size_gib=30,
    tags={
        Tag.PROJECT: "vision",
        Tag.STATUS: AmiStatus.VERIFIED,
        Tag.BAKE_DIGEST: digest_of(b"bake"),
        Tag.MODEL_SET: MODELS.digest,
        Tag.BASE_AMI: "ami-0base0000000gpu1",
        Tag.RECIPE: digest_of(b"recipe"),
        Tag.EVIDENCE: digest_of(b"evidence"),
        Tag.MADE_BY: "ada",
        Tag.GIT: "40c6abd9d8e7f6a5b4c3d2e1f00112233445566",
        Tag.RUN: "20261121-150702-abcdef",
    },
    imds_v2=True,
    last_launched="2026-11-22T00:00:00.000Z",
)

_SNAPSHOT = SnapshotRecord(
    id="snap-0123456789abcdef0", state="completed", size_gib=30, full_bytes=5_000_000_000, encrypted=True, tags={}
)

_LISTED = ListedAmi(
    ami=_AMI,
    cost=monthly_usd((_SNAPSHOT,)),
    uses=(Use(of=_AMI.id, kind="release", name="0123456789ab", detail="active"),),
)

_CONTENT = AmiContent(
    ami_id=_AMI.id,
    base_ami="ami-0base0000000gpu1",
    recipe=digest_of(b"recipe"),
    architecture="x86_64",
    commit="40c6abd9d8e7f6a5b4c3d2e1f00112233445566",
    files=MODELS.files,
)

_AFTER = replace(_CONTENT, ami_id=None, base_ami="ami-0base0000000gpu2", files=(replace(MODELS.files[0], mode="0644"),))

_WITHDRAWN = replace(
    _AMI,
    state=AmiState.DISABLED,
    tags=_AMI.tags
    | {
        Tag.STATUS: AmiStatus.DISABLED,
        Tag.DISABLED_AT: "2026-11-21T15:07:02Z",
        Tag.DISABLED_BY: "ada: a track is lost",
    },
)

_CHANNEL = ChannelState(
    entry=ChannelEntry(
        channel=Channel("stable"),
        version=3,
        ami_id=_AMI.id,
        since=AT,
        note=Note(by="ada", reason="tracks are lost", is_rollback=True),
    ),
    ami=_AMI,
)

_ORPHAN = SnapshotRecord(
    id="snap-0123456789abcdef1",
    state="completed",
    size_gib=30,
    full_bytes=None,
    encrypted=True,
    tags={Tag.PROJECT: "vision"},
    ami_id="ami-0123456789abcdef1",
    started=AT,
)

_PRUNING = Pruning(
    verdicts=(
        Verdict(
            ami=_AMI,
            fate=Fate.DEREGISTER,
            reasons=("nothing uses it, disabled since 2027-01-01 00:00:00Z",),
            cost=Cost(usd=0.1, is_upper_bound=False),
        ),
    ),
    orphans=(
        SnapshotVerdict(
            snapshot=_ORPHAN,
            fate=Fate.KEEP,
            reasons=("not known whether it is used: instances could not be read",),
            cost=monthly_usd([_ORPHAN]),
        ),
    ),
    unread=(Unread(source="instances", why="AWS refused reading instances"),),
    plan=Plan(title="prune the AMIs of vision", because="a test asks"),
    saved=Cost(usd=0.1, is_upper_bound=False),
    saved_later=Cost(usd=0.0, is_upper_bound=False),
    strays=(replace(_ORPHAN, tags={}),),
)

_VERDICT = sweep.Verdict(
    item=sweep.Leftover(
        kind=sweep.LeftoverKind.SECURITY_GROUP,
        id="sg-0123456789abcdef0",
        name="packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e",
        created=datetime.fromisoformat(AT),
    ),
    run_id="20261121-150702-abcdef",
    removes=True,
    because="run `20261121-150702-abcdef` is dead",
)

_GRANTS = (
    Grant(account="210987654321"),
    Grant(organization="arn:aws:organizations::123456789012:organization/o-abcdefghij"),
    Grant(unit="arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-ab12-cdefghij"),
)

SAMPLES: dict[str, dict[str, Any]] = {
    "ami": ami_documents.ami(
        AmiDetails(listed=_LISTED, snapshots=(_SNAPSHOT,), files=MODELS.files, grants=frozenset(_GRANTS), unread=UNREAD)
    ),
    "ami-bake": ami_documents.ami_bake(_AMI, changed=True),
    "ami-copy": ami_documents.ami_copy(
        AmiId("ami-0123456789abcdef0"),
        "us-west-2",
        [
            Copy(region="eu-west-1", ami=_AMI, is_changed=True),
            Copy(
                region="eu-central-1", ami=None, is_changed=False, failure=CapctlError("aws-failed", "AWS call failed")
            ),
        ],
    ),
    "ami-deprecation": ami_documents.ami_deprecation(
        replace(_AMI, deprecated_at="2027-03-31T18:00:00.000Z"), changed=True
    ),
    "ami-disable": ami_documents.ami_disable(_WITHDRAWN, taken_from=("210987654321",), changed=True),
    "ami-share": ami_documents.ami_share(
        _AMI.id,
        _GRANTS,
        changed=True,
    ),
    "ami-channel": ami_documents.ami_channel([_CHANNEL]),
    "ami-channel-list": ami_documents.ami_channel_list([_CHANNEL]),
    "ami-promotion": ami_documents.ami_promotion(_CHANNEL, changed=True),
    "ami-diff": ami_documents.ami_diff(difference(_CONTENT, _AFTER)),
    "ami-list": ami_documents.ami_list(AmiList(amis=(_LISTED,), unread=UNREAD, at=datetime.fromisoformat(AT))),
    "ami-prune": ami_removal_documents.ami_prune(
        _PRUNING,
        Done(results=((DeregisterAmi(scan=Scan(ports=FakePorts(), target=make_target(Path())), ami=_AMI), Removal()),)),
        now=datetime.fromisoformat("2027-01-30T15:07:02+00:00"),
    ),
    "ami-sweep": ami_removal_documents.ami_sweep(Swept(verdicts=(_VERDICT,), is_changed=True)),
    "ami-verification": ami_documents.ami_verification(
        AmiReport(ami=_AMI, checks=CHECKS), not_checked=("a boot of the AMI",)
    ),
}
