"""Documents about models, releases, jobs and the configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lifecycle.cli import documents, job_documents, release_documents, smoke_documents, status_documents
from lifecycle.config.origins import Setting
from lifecycle.domain.compute import EnvironmentRecord, QueueRecord
from lifecycle.domain.deployment import Deployment, Holder, Standing
from lifecycle.domain.deployment import Stage as DeploymentStage
from lifecycle.domain.difference import Difference, Severity
from lifecycle.domain.digest import digest_of
from lifecycle.domain.job import JobRecord, JobState, Purpose, QueueState
from lifecycle.domain.job_account import job_account
from lifecycle.domain.job_counts import JobCounts
from lifecycle.domain.moved_jobs import MovedTo, Staying
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.push_preview import FileChanges, PushPreview, SizeToSend
from lifecycle.domain.release import Pointer
from lifecycle.domain.shipment import Outcome, Shipment, Stage, StageName, StagePlan
from lifecycle.domain.smoke import SmokeReport
from lifecycle.domain.timeline import Mark, Point, Source, Timeline
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import LogLine
from lifecycle.ports.journal import JournalEntry
from lifecycle.workflows.drift import Drift
from lifecycle.workflows.history import Event
from lifecycle.workflows.jobs import JobView
from lifecycle.workflows.move_jobs import Moved
from lifecycle.workflows.status import ReleaseStatus, Status
from lifecycle.workflows.verify_models import ModelsReport
from lifecycle.workflows.write_contract import WrittenContract
from tests.dev.samples.common import AT, CHECKS, LAYER, MODELS, RELEASE, SOURCE, TAGGED
from tests.fakes.stack import OUTPUTS, deployed, recorded

_DEPLOYED = deployed(RELEASE)

_POINTER = Pointer(
    version=2,
    release_id=RELEASE.id,
    previous_release_id="0123456789ab",
    job_queue_arn=_DEPLOYED.job_queue_arn,
    job_definition_arn=_DEPLOYED.job_definition_arn,
    moved_at=AT,
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
    image=str(RELEASE.image),
    log_group="/vision/jobs",
    log_stream="vision/default/0",
    cluster_instance_arn="arn:aws:ecs:us-west-2:123456789012:container-instance/vision/1",
    attempts=1,
    created_ms=1_795_273_622_000,
    started_ms=1_795_273_623_500,
    stopped_ms=0,
)

_SMOKE = SmokeReport(
    release_id=RELEASE.id,
    job_id=JOB.id,
    session_id="smoke-1",
    video_url="s3://vision-capctl-123456789012-us-west-2/samples/portrait.mp4",
    result_uri="s3://vision-capctl-123456789012-us-west-2/smoke/smoke-1/result.json",
    instance_type="g5.xlarge",
    gpu_memory_peak_bytes=3_221_225_472,
    seconds=2.5,
    checks=CHECKS,
    timeline=Timeline(
        marks=(
            Mark(point=Point.SUBMITTED, at_ms=JOB.created_ms, source=Source.BATCH),
            Mark(point=Point.STARTING, at_ms=JOB.created_ms + 214_000, source=Source.SEEN),
            Mark(point=Point.FIRST_FRAME, at_ms=JOB.created_ms + 260_500, source=Source.CONTAINER),
        )
    ),
)

_QUEUE = QueueRecord(
    arn=_DEPLOYED.job_queue_arn,
    name=f"vision-{RELEASE.id}",
    state=QueueState.VALID,
    reason="JobQueue Healthy",
    is_enabled=True,
    environment_arns=(_DEPLOYED.compute_environment_arn,),
)

_HOLDER = Holder(
    run_id="20261121-150702-abcdef",
    user="ada",
    host="ci-7",
    machine="",
    pid=4711,
    began=0,
    command="capctl deploy",
    since=AT,
)

_STATUS = Status(
    pointer=_POINTER,
    releases=(
        ReleaseStatus(
            recorded=recorded(_DEPLOYED),
            role="active",
            queue=_QUEUE,
            environment=EnvironmentRecord(
                arn=_DEPLOYED.compute_environment_arn,
                name=_QUEUE.name,
                state=QueueState.VALID,
                reason="ComputeEnvironment Healthy",
                is_enabled=True,
                max_vcpus=40,
                template_id="lt-0123456789abcdef0",
                template_version="1",
            ),
            jobs=JobCounts(waiting=2, running=1, succeeded=40, failed=1),
            image_tag="code-0123456789ab",
        ),
    ),
    journal=(
        JournalEntry(
            at=AT,
            run_id="20261121-150702-abcdef",
            user="ada",
            command="capctl deploy",
            step=f"smoke release {RELEASE.id} with s3://vision-capctl-123456789012-us-west-2/samples/portrait.mp4",
            outcome="failed: smoke-failed",
            why="a test asks",
        ),
    ),
    standing=Standing(
        recent=(
            Deployment(
                number=12,
                holder=_HOLDER,
                reason="",
                release_id="fedcba987654",
                record="",
                replaces=RELEASE.id,
                stages=((DeploymentStage.SMOKE, AT),),
            ),
        ),
        holder=_HOLDER,
    ),
)

_DRIFT = Drift(
    differences=(
        Difference(
            severity=Severity.FAULT,
            code="queue-disabled",
            what=f"queue {_QUEUE.name}",
            expected="ENABLED",
            found="DISABLED",
            next=f"`aws batch update-job-queue --job-queue {_QUEUE.name} --state ENABLED`",
            release_id=RELEASE.id,
        ),
    ),
    release_ids=(RELEASE.id,),
)


_EVENT = Event(
    at=AT,
    what="deploy",
    number=12,
    release_id=RELEASE.id,
    replaces="0123456789ab",
    outcome="rolled-back",
    stage="clean",
    by="ada@ci-7",
    why="Smoke job is FAILED",
    error="smoke-failed",
    seconds=214.0,
    ami_id=RELEASE.ami_id,
    image=str(RELEASE.image),
)


class _Step:
    permissions = ("dynamodb:PutItem", "dynamodb:GetItem")

    def describe(self) -> str:
        return "pointer: none -> 0123456789ab"

    def apply(self) -> str:
        return "done"

    def verify(self, _: str) -> None:
        """There is nothing to read back."""


_ERROR = CapctlError(
    "smoke-failed", "Smoke job is FAILED", hint="Read `capctl job logs`", details=("a line",), evidence={"job": JOB}
)

_SETTING = Setting(name="image.entrypoint", value=("python3", "-m"), origin="capctl.yaml:4:27 targets.dev")

_DONE = Done(results=((_Step(), "done"),), failures=((_Step(), CapctlError("aws-failed", "AWS call failed")),))

SAMPLES: dict[str, dict[str, Any]] = {
    "base": documents.base(OUTPUTS, changed=True),
    "config-check": documents.config_check(Path("capctl.yaml"), targets=["dev"], warnings=["A warning"]),
    "config-values": documents.config_values("dev", [_SETTING]),
    "deployment": documents.deployment(_POINTER, _DONE, report=_SMOKE),
    "drift": status_documents.drift(_DRIFT),
    "error": documents.error(_ERROR),
    "history": release_documents.history([_EVENT]),
    "job": job_documents.job(JOB),
    "job-cancellation": job_documents.job_cancellation(JOB, changed=True),
    "job-list": job_documents.job_list([JOB]),
    "job-log": job_documents.job_log(JOB, [LogLine(at_ms=1_795_273_624_125, message='{"event":"failed"}')]),
    "job-move": job_documents.job_move(
        RELEASE.id,
        Moved(
            to="0123456789ab",
            pairs=((JOB, "fedcba98-0123-4567-89ab-0123456789ab"),),
            started=(JOB,),
            staying=(Staying(job=JOB, why="it waits for other jobs, and Batch cancels it only when they have ended"),),
        ),
    ),
    "job-view": job_documents.job_view(
        JobView(
            job=JOB,
            account=job_account(JOB, QueueState.VALID, now_ms=JOB.started_ms),
            release_id=RELEASE.id,
            moved=MovedTo(release_id="0123456789ab", job_id="fedcba98-0123-4567-89ab-0123456789ab"),
        )
    ),
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
    "models-lock": documents.models_lock(MODELS, changed=True),
    "models-push": documents.models_push(MODELS, changed=True),
    "models-verification": documents.models_verification(
        ModelsReport(models=MODELS, problems=("missing: models/age.onnx",))
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
            treehash=LAYER.treehash,
            tag=LAYER.tag,
            files=LAYER.files,
            base=TAGGED,
            known=None,
            last=RELEASE.image,
            changes=FileChanges(added=("analyzer/ocr.py",), changed=("analyzer/cli.py",), removed=("analyzer/old.py",)),
            to_send=SizeToSend(layer_bytes=37_483, config_bytes=616, manifest_bytes=588),
            source=SOURCE,
        ),
        stages=(
            StagePlan(
                name=StageName.DEPLOY,
                plan=Plan(title="deploy a release", because="the image is made first", details=("smoke it",)),
                is_known=False,
            ),
        ),
    ),
    "rollback": documents.rollback(_POINTER, changed=True),
    "shipment": release_documents.shipment(
        Shipment(
            stages=(Stage(name=StageName.DEPLOY, outcome=Outcome.ROLLED_BACK, seconds=21.5, told="smoke-failed"),),
            release_id=RELEASE.id,
            ami=RELEASE.ami_id,
            image=RELEASE.image,
            source=SOURCE,
            before=replace(_POINTER, release_id="0123456789ab"),
            after=_POINTER,
            smoke=_SMOKE,
            warnings=("A warning",),
            failure=_ERROR,
        )
    ),
    "smoke": smoke_documents.smoke(_SMOKE),
    "status": status_documents.status(_STATUS),
}
