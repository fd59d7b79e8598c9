"""One document of every schema, made from typed values as a command has them."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from images.rules import Violation
from lifecycle.cli import ami_documents, ami_removal_documents, documents, image_documents, image_repository_documents
from lifecycle.config.origins import Setting
from lifecycle.domain import sweep
from lifecycle.domain.ami import AmiId, AmiRecord, Grant, SnapshotRecord
from lifecycle.domain.ami_difference import AmiContent, difference
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.channel import Channel, ChannelEntry, Note
from lifecycle.domain.check import Check
from lifecycle.domain.checkout import Checkout
from lifecycle.domain.cost import Cost, monthly_usd
from lifecycle.domain.digest import digest_of
from lifecycle.domain.hand_run import HandRun, models_elsewhere, run_words, runtime_elsewhere
from lifecycle.domain.image import TaggedImage
from lifecycle.domain.image_content import Blob, ImageContent, LocalImage
from lifecycle.domain.image_difference import compared
from lifecycle.domain.image_explanation import explained
from lifecycle.domain.image_report import Budgets, ImageReport
from lifecycle.domain.image_retention import Freed, ImageFate, ImageVerdict
from lifecycle.domain.job import JobRecord, JobState, Purpose, QueueState
from lifecycle.domain.lifecycle_policy import Expiring, lifecycle_policy
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.push_preview import FileChanges, PushPreview, SizeToSend
from lifecycle.domain.release import Pointer
from lifecycle.domain.repository_image import ImageKind, RepositoryImage
from lifecycle.domain.retention import Fate, SnapshotVerdict, Verdict
from lifecycle.domain.smoke import SmokeReport
from lifecycle.domain.tags import Tag
from lifecycle.domain.usage import Unread, Use
from lifecycle.errors import CapctlError
from lifecycle.ports.code import CodeLayer, PushedImage
from lifecycle.ports.jobs import LogLine, QueueStatus
from lifecycle.ports.journal import JournalEntry
from lifecycle.workflows.copy_ami import Copy
from lifecycle.workflows.deregister import Removal
from lifecycle.workflows.image_policy import PolicyReport
from lifecycle.workflows.image_world import ImageScan
from lifecycle.workflows.list_amis import AmiDetails, AmiList, ListedAmi
from lifecycle.workflows.list_channels import ChannelState
from lifecycle.workflows.list_images import ImageList, ListedImage
from lifecycle.workflows.prune import Pruning
from lifecycle.workflows.prune_images import DeleteImage, ImagePruning
from lifecycle.workflows.prune_steps import DeregisterAmi
from lifecycle.workflows.prune_world import Scan
from lifecycle.workflows.status import ReleaseStatus, Status
from lifecycle.workflows.sweep import Swept
from lifecycle.workflows.verify_ami import AmiReport
from lifecycle.workflows.verify_models import ModelsReport
from lifecycle.workflows.write_contract import WrittenContract
from tests.fakes.image_index import file, image, layer, symbolic_link, whiteout
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS, deployed
from tests.fakes.targets import make_target

_AT = "2026-11-21T15:07:02+00:00"

_MODELS = ModelSet(
    files=(ModelFile(path="models/age.onnx", bytes=3, sha256=digest_of(b"age").removeprefix("sha256:")),)
)
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
        Tag.MODEL_SET: _MODELS.digest,
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
_UNREAD = (Unread(source="releases", why="The state cannot be read"),)
_CONTENT = AmiContent(
    ami_id=_AMI.id,
    base_ami="ami-0base0000000gpu1",
    recipe=digest_of(b"recipe"),
    architecture="x86_64",
    commit="40c6abd9d8e7f6a5b4c3d2e1f00112233445566",
    files=_MODELS.files,
)
_AFTER = replace(
    _CONTENT, ami_id=None, base_ami="ami-0base0000000gpu2", files=(replace(_MODELS.files[0], mode="0644"),)
)
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
        since=_AT,
        note=Note(by="ada", reason="tracks are lost", is_rollback=True),
    ),
    ami=_AMI,
)
_LISTED_IMAGE = RepositoryImage(
    digest=digest_of(b"image"),
    tags=("code-0123456789abcdef",),
    pushed_at=datetime.fromisoformat(_AT),
    pulled_at=datetime.fromisoformat(_AT),
    size_bytes=131_000_000,
    media_type="application/vnd.oci.image.manifest.v1+json",
)
_OLD_LISTED_IMAGE = RepositoryImage(
    digest=digest_of(b"old image"), pushed_at=datetime.fromisoformat("2026-08-01T00:00:00+00:00")
)
_IMAGE_PRUNING = ImagePruning(
    verdicts=(
        ImageVerdict(
            image=_LISTED_IMAGE,
            kind=ImageKind.CODE,
            fate=ImageFate.KEEP,
            reasons=("used by release 0123456789ab (active)",),
            uses=(),
            freed=Freed(bytes=20_000),
        ),
        ImageVerdict(
            image=_OLD_LISTED_IMAGE,
            kind=ImageKind.OTHER,
            fate=ImageFate.DELETE,
            reasons=("nothing needs it",),
            uses=(),
            freed=Freed(bytes=1_000_000, is_upper_bound=True),
        ),
    ),
    unread=(),
    plan=Plan(title="prune the images of vision", because="1 image is not needed"),
    freed=Freed(bytes=1_000_000, is_upper_bound=True),
)
_RELEASE = make_release()
_DEPLOYED = deployed(_RELEASE)
_POINTER = Pointer(
    version=2,
    release_id=_RELEASE.id,
    previous_release_id="0123456789ab",
    job_queue_arn=_DEPLOYED.job_queue_arn,
    job_definition_arn=_DEPLOYED.job_definition_arn,
    moved_at=_AT,
    moved_by="ada",
    reason="tracks are lost",
)
JOB = JobRecord(
    id="85d22ea7-0000-4000-8000-000000000000",
    name="vision-by-hand",
    purpose=Purpose.WORK,
    state=JobState.FAILED,
    obstacle=None,
    status_reason="Essential container in task exited",
    exit_code=65,
    reason="",
    queue_arn=_DEPLOYED.job_queue_arn,
    definition_arn=_DEPLOYED.job_definition_arn,
    image=str(_RELEASE.image),
    log_group="/vision/jobs",
    log_stream="vision/default/0",
    cluster_instance_arn="arn:aws:ecs:us-west-2:123456789012:container-instance/vision/1",
    attempts=1,
    created_ms=1_795_273_622_000,
    started_ms=1_795_273_623_500,
    stopped_ms=0,
)
_ORPHAN = SnapshotRecord(
    id="snap-0123456789abcdef1",
    state="completed",
    size_gib=30,
    full_bytes=None,
    encrypted=True,
    tags={Tag.PROJECT: "vision"},
    ami_id="ami-0123456789abcdef1",
    started=_AT,
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
_CHECKS = (Check(name="tracks", ok=False, expected="at least 1", found="0"),)
_SMOKE = SmokeReport(
    release_id=_RELEASE.id,
    job_id=JOB.id,
    session_id="smoke-1",
    result_uri="s3://vision-capctl-123456789012-us-west-2/smoke/smoke-1/result.json",
    seconds=2.5,
    checks=_CHECKS,
)
_STATUS = Status(
    pointer=_POINTER,
    releases=(ReleaseStatus(deployed=_DEPLOYED, role="active", queue=QueueStatus(state=QueueState.VALID, reason="")),),
    journal=(
        JournalEntry(
            at=_AT,
            run_id="20261121-150702-abcdef",
            user="ada",
            command="capctl deploy",
            step=f"smoke release {_RELEASE.id} with s3://vision-capctl-123456789012-us-west-2/samples/portrait.mp4",
            outcome="failed: smoke-failed",
            why="a test asks",
        ),
    ),
)


_VERDICT = sweep.Verdict(
    item=sweep.Leftover(
        kind=sweep.LeftoverKind.SECURITY_GROUP,
        id="sg-0123456789abcdef0",
        name="packer_6b017302-b7ff-4cd4-17d0-c0adf521ba5e",
        created=datetime.fromisoformat(_AT),
    ),
    run_id="20261121-150702-abcdef",
    removes=True,
    because="run `20261121-150702-abcdef` is dead",
)


class _Step:
    permissions = ("dynamodb:PutItem", "dynamodb:GetItem")

    def describe(self) -> str:
        return "pointer: none -> 0123456789ab"

    def apply(self) -> str:
        return "done"

    def verify(self, _: str) -> None:
        """There is nothing to read back."""


_TAGGED = TaggedImage(ref=_RELEASE.image, tag="base-0123456789ab")
_LOCAL = LocalImage(
    name="vision:code-0123456789abcdef",
    content=ImageContent(
        media_type="application/vnd.oci.image.manifest.v1+json",
        manifest=b"manifest",
        config=b"{}",
        layers=(Blob(digest=digest_of(b"layer"), size_bytes=150_000_000),),
        diff_ids=(digest_of(b"unpacked"),),
        platform={"architecture": "amd64", "os": "linux"},
        read=lambda _blob, _start: iter(()),
    ),
)
_RUN = run_words(
    _LOCAL.name,
    HandRun(
        user="1000:1000",
        results="/project/.capctl/by-hand/results",
        models=models_elsewhere(),
        runtime=runtime_elsewhere(),
    ),
    video="/videos/portrait.mp4",
    environment=(),
    gpus=1,
)
_LAYER = CodeLayer(
    treehash=digest_of(b"tree"), tag="code-0123456789abcdef", files=3, unpacked_bytes=900, compressed_bytes=300
)
_SOURCE = Checkout(commit="0123456789abcdef0123456789abcdef01234567", uncommitted=("analyzer/cli.py",))
_PUSHED = PushedImage(ref=_RELEASE.image, tag=_LAYER.tag, unchanged=False, requests=6, bytes_sent=1200)
_IMAGE_REPORT = ImageReport(
    ref=_RELEASE.image,
    budgets=Budgets(compressed_bytes=300_000_000, unpacked_bytes=500_000_000),
    compressed_bytes=1300,
    unpacked_bytes=1900,
    layers=(digest_of(b"base"), digest_of(b"code")),
    files=103,
    violations=(Violation(code="model-file", message="`a.onnx` is a model", path="a.onnx", layer=digest_of(b"code")),),
)
_IMAGE = image(
    layer(
        file("opt/site/six-1.17.dist-info/METADATA", "Name: six"),
        file("opt/site/six.py", "import sys"),
        symbolic_link("opt/site/cv.libs/libavutil-2.so.60", "../av.libs/libavutil-1.so.60"),
        compressed_bytes=90,
    ),
    layer(file("opt/weights.onnx", "weights"), file("opt/table.csv", "a,b"), compressed_bytes=60),
    layer(file("opt/six.py", "import sys"), whiteout("opt/table.csv"), compressed_bytes=30),
    layer(file("app/job.py", "print(1)"), compressed_bytes=40),
    made_by=(
        "COPY site /opt/site # buildkit",
        "COPY weights.onnx table.csv /opt/ # buildkit",
        "RUN /bin/sh -c cp site/six.py . && rm table.csv # buildkit",
        "capctl image push",
    ),
    Labels={
        "org.opencontainers.image.base.digest": digest_of(b"base"),
        "dev.capctl.left-out": "botocore/data/*/** **/tests/**",
        "dev.capctl.kept": "botocore/data/s3/**",
    },
    Env=["LANG=C.UTF-8"],
)
_NEXT_IMAGE = image(
    *_IMAGE.layers[:3],
    layer(
        file("app/job.py", "print(22)", 0o755),
        file("opt/site/six-1.18.dist-info/METADATA", "Name: six"),
        compressed_bytes=50,
    ),
    made_by=_IMAGE.instructions,
    Env=["LANG=C"],
)
_ERROR = CapctlError(
    "smoke-failed", "Smoke job is FAILED", hint="Read `capctl job logs`", details=("a line",), evidence={"job": JOB}
)
_POLICY = PolicyReport(
    policy=lifecycle_policy(bases_beyond=20, code_days=365, untagged_days=90),
    is_in_force=False,
    expiring=(
        Expiring(digest=_RELEASE.image.digest, tags=(_LAYER.tag,), pushed_at=datetime.fromisoformat(_AT), rule=3),
    ),
    needs={_RELEASE.image.digest: (f"release {_RELEASE.id} (active)",)},
)
_SETTING = Setting(name="image.entrypoint", value=("python3", "-m"), origin="capctl.yaml:4:27 targets.dev")

_GRANTS = (
    Grant(account="210987654321"),
    Grant(organization="arn:aws:organizations::123456789012:organization/o-abcdefghij"),
    Grant(unit="arn:aws:organizations::123456789012:ou/o-abcdefghij/ou-ab12-cdefghij"),
)

_DONE = Done(results=((_Step(), "done"),), failures=((_Step(), CapctlError("aws-failed", "AWS call failed")),))

# By the name of the schema: `ami-list` is `capctl.ami-list/1`.
SAMPLES: dict[str, dict[str, Any]] = {
    "ami": ami_documents.ami(
        AmiDetails(
            listed=_LISTED, snapshots=(_SNAPSHOT,), files=_MODELS.files, grants=frozenset(_GRANTS), unread=_UNREAD
        )
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
    "ami-list": ami_documents.ami_list(AmiList(amis=(_LISTED,), unread=_UNREAD, at=datetime.fromisoformat(_AT))),
    "ami-prune": ami_removal_documents.ami_prune(
        _PRUNING,
        Done(results=((DeregisterAmi(scan=Scan(ports=FakePorts(), target=make_target(Path())), ami=_AMI), Removal()),)),
        now=datetime.fromisoformat("2027-01-30T15:07:02+00:00"),
    ),
    "ami-sweep": ami_removal_documents.ami_sweep(Swept(verdicts=(_VERDICT,), is_changed=True)),
    "ami-verification": ami_documents.ami_verification(
        AmiReport(ami=_AMI, checks=_CHECKS), not_checked=("a boot of the AMI",)
    ),
    "base": documents.base(OUTPUTS, changed=True),
    "code-layer": documents.code_layer(_LAYER, _SOURCE),
    "config-check": documents.config_check(Path("capctl.yaml"), targets=["dev"], warnings=["A warning"]),
    "config-values": documents.config_values("dev", [_SETTING]),
    "deployment": documents.deployment(_POINTER, _DONE, report=_SMOKE),
    "error": documents.error(_ERROR),
    "image": documents.image(_PUSHED, _SOURCE),
    "image-base": documents.image_base(_TAGGED, changed=True),
    "image-layout": image_documents.image_layout(Path("layout"), _LOCAL, source=_SOURCE, run=_RUN, changed=True),
    "image-load": image_documents.image_load(_LOCAL, digest_of(b"config"), run=_RUN, changed=True),
    "image-diff": image_documents.image_diff(
        compared((_RELEASE.image, _IMAGE), (replace(_RELEASE.image, digest=digest_of(b"next")), _NEXT_IMAGE))
    ),
    "image-explanation": image_documents.image_explanation(explained(_RELEASE.image, _IMAGE, top=10, depth=None)),
    "image-prune": image_repository_documents.image_prune(
        _IMAGE_PRUNING,
        Done(
            results=(
                (DeleteImage(scan=ImageScan(FakePorts(), make_target(Path())), image=_OLD_LISTED_IMAGE), "deleted"),
            )
        ),
        now=datetime.fromisoformat(_AT),
    ),
    "images": image_repository_documents.images(
        ImageList(
            images=(
                ListedImage(
                    image=_LISTED_IMAGE,
                    kind=ImageKind.CODE,
                    uses=(Use(of=_LISTED_IMAGE.digest, kind="release", name="0123456789ab", detail="active"),),
                    freed=Freed(bytes=20_000),
                ),
            ),
            others=1,
            cost=Freed(bytes=131_000_000).cost,
            unread=_UNREAD,
            at=datetime.fromisoformat(_AT),
        )
    ),
    "image-policy": image_repository_documents.image_policy(_POLICY),
    "image-report": documents.image_report(_IMAGE_REPORT),
    "job": documents.job(JOB),
    "job-list": documents.job_list([JOB]),
    "job-log": documents.job_log(JOB, [LogLine(at_ms=1_795_273_624_125, message='{"event":"failed"}')]),
    "models-contract": documents.models_contract(
        WrittenContract(
            digest=digest_of(b"contract"),
            document={
                "schema": "capctl.runtime-contract/1",
                "python": "3.11",
                "mount": "/opt/runtime",
                "packages": {"onnxruntime-gpu": "1.24.1"},
                "modules": ["onnxruntime"],
                "libraries": {"cudnn": "9"},
                "tree_sha256": "0" * 64,
            },
        ),
        changed=True,
    ),
    "models-lock": documents.models_lock(_MODELS, changed=True),
    "models-push": documents.models_push(_MODELS, changed=True),
    "models-verification": documents.models_verification(
        ModelsReport(models=_MODELS, problems=("missing: models/age.onnx",))
    ),
    "plan": documents.plan(
        Plan(
            title="roll back to release 0123456789ab",
            because="it was asked for",
            steps=(_Step(),),
            after=(_Step(),),
            undo=(_Step(),),
            details=("what was tried is bad",),
        ),
        push=PushPreview(
            treehash=_LAYER.treehash,
            tag=_LAYER.tag,
            files=_LAYER.files,
            base=_TAGGED,
            known=None,
            last=_RELEASE.image,
            changes=FileChanges(added=("analyzer/ocr.py",), changed=("analyzer/cli.py",), removed=("analyzer/old.py",)),
            to_send=SizeToSend(layer_bytes=37_483, config_bytes=616, manifest_bytes=588),
            source=_SOURCE,
        ),
    ),
    "rollback": documents.rollback(_POINTER, changed=True),
    "smoke": documents.smoke(_SMOKE),
    "status": documents.status(_STATUS),
}
