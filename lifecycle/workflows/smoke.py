"""Run a real job on a release and check what it did."""

from dataclasses import dataclass
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.analysis import parse_result
from lifecycle.domain.check import Check
from lifecycle.domain.job import UNFINISHED, JobState, Purpose, contract
from lifecycle.domain.layout import Folder
from lifecycle.domain.measures import duration_text
from lifecycle.domain.permissions import (
    READ_JOBS,
    READ_LOGS,
    READ_OBJECTS,
    READ_POINTER,
    READ_QUEUES,
    READ_STATE,
    SUBMIT_JOBS,
)
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import DeployedRelease
from lifecycle.domain.run import Run
from lifecycle.domain.smoke import (
    SmokeReport,
    check_analysis,
    check_document,
    check_host,
    check_rows,
    check_thumbnails,
    check_vectors,
    thumbnail_names,
)
from lifecycle.domain.smoke_run import smoke_run
from lifecycle.domain.smoke_trouble import longest_s
from lifecycle.domain.tags import Tag
from lifecycle.domain.timeline import timeline
from lifecycle.errors import CapctlError, Inconclusive, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.lookups import active_pointer, deployed_release
from lifecycle.workflows.smoke_baseline import compare_run, keep_run, session_beginning
from lifecycle.workflows.smoke_jobs import smoke_jobs
from lifecycle.workflows.smoke_video import StoreClip, has_smoke_video, smoke_video
from lifecycle.workflows.smoke_wait import Waited, wait_for_success

PERMISSIONS = {"smoke": (*READ_POINTER, *READ_STATE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """Submit the smoke job and wait for it; `verify` judges the evidence."""

    ports: Ports
    target: Target
    run: Run
    release_id: str
    permissions: tuple[str, ...] = (
        *READ_STATE,
        *READ_JOBS,
        *READ_QUEUES,
        *SUBMIT_JOBS,
        *READ_LOGS,
        *READ_OBJECTS,
        *READ_POINTER,
        "batch:TerminateJob",
        "ec2:DescribeInstances",
        "ecs:DescribeContainerInstances",
        "s3:PutObject",
    )

    def describe(self) -> str:
        most = duration_text(longest_s(self.target.settings.smoke.timeout_s))
        return f"smoke release {self.release_id} with {smoke_video(self.target).url}, for {most} at most"

    def apply(self) -> SmokeReport:
        release = deployed_release(self.ports, self.release_id)
        return _report(self.ports, self.target, release, _run_job(self.ports, self.target, self.run, release))

    def verify(self, result: SmokeReport) -> None:
        if result.ok:
            return
        names = ", ".join(f"`{check.name}`" for check in result.checks if not check.ok)
        ran = f"Release `{self.release_id}` ran its smoke job `{result.job_id}`"
        details, evidence = tuple(check.line for check in result.checks), {"smoke": result}
        if not result.is_verdict:
            raise Inconclusive(
                "smoke-unseen",
                f"{ran}, and its host went before {names} could be checked; nothing was proven either way and the release stays",
                hint="Run the command again: it runs another job",
                details=details,
                evidence=evidence,
            )
        raise CapctlError(
            "smoke-failed",
            f"{ran} and failed {names}",
            hint=result.hint,
            details=details,
            evidence=evidence,
            verdict=True,
        )


def plan_smoke(ports: Ports, target: Target, run: Run, *, release_id: str | None) -> Plan:
    """Without an id the active release is smoked. Raises `CapctlError` without a release or its video, `UsageError` out of its reach."""
    if release_id is None:
        release_id = active_pointer(ports).release_id
    release = deployed_release(ports, release_id)
    put = () if has_smoke_video(ports, target) else (StoreClip(ports=ports, target=target),)
    return Plan(
        title=f"smoke release {release_id}",
        because="a real job is the proof",
        steps=(*put, Smoke(ports=ports, target=target, run=run, release_id=release_id)),
        after=(MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id),),
    )


def _run_job(ports: Ports, target: Target, run: Run, release: DeployedRelease) -> Waited:
    """Submit, or follow the smoke job that a killed run left on the release's queue; returns it once it has succeeded."""
    left = smoke_jobs(ports, release.job_queue_arn, release.id, states=UNFINISHED)
    job_id = left[0].id if left else ports.jobs.submit(_request(target, run, release))
    submitted_s = None if left else ports.clock.monotonic()
    try:
        timeout_s = target.settings.smoke.timeout_s
        return wait_for_success(ports, job_id, release.id, timeout_s=timeout_s, submitted_s=submitted_s)
    except (Interrupted, KeyboardInterrupt):
        # What another run submitted that one may wait for.
        if not left:
            _cancel(ports, job_id)
        raise


def _cancel(ports: Ports, job_id: str) -> None:
    """End the job of a smoke that was interrupted; trouble with that is told, and hides no interruption."""
    try:
        ports.jobs.cancel(job_id, reason="capctl was interrupted")
    except Interrupted:
        raise
    except CapctlError as unended:
        ports.ui.warn(f"Smoke job {job_id} was not ended, and runs on: {unended.message}")


def _request(target: Target, run: Run, release: DeployedRelease) -> JobRequest:
    session_id = f"{session_beginning(release.id)}{run.id}"
    return JobRequest(
        name=session_id,
        queue_arn=release.job_queue_arn,
        definition_arn=release.job_definition_arn,
        environment={
            contract.Env.VIDEO_URL.value: smoke_video(target).url,
            contract.Env.SESSION_ID.value: session_id,
            contract.Env.RESULT_URL.value: _result_folder(target, session_id),
        },
        tags={Tag.PROJECT: target.project, Tag.RELEASE: release.id, Tag.RUN: run.id},
        purpose=Purpose.SMOKE,
    )


def _result_folder(target: Target, session_id: str) -> str:
    return target.uri(Folder.SMOKE, session_id)


def _report(ports: Ports, target: Target, deployed: DeployedRelease, waited: Waited) -> SmokeReport:
    job, video, database_url = waited.job, smoke_video(target), target.settings.smoke.database_url
    session_id = job.name
    result_uri = f"{_result_folder(target, session_id)}/{contract.RESULT_NAME}"
    document = _document(ports, result_uri)
    checks = [
        Check(name="job", ok=job.state is JobState.SUCCEEDED, expected="SUCCEEDED", found=job.state.value),
        *check_host(job, deployed, waited.host),
        *check_analysis(document, min_frames=target.settings.smoke.min_frames),
        *check_document(document, deployed, min_tracks=video.min_tracks, is_golden=video.is_golden),
    ]
    if database_url:
        checks.append(check_rows(document, ports.results.rows(database_url, session_id)))
    stored = ports.results.dimensions(database_url, session_id) if database_url else ()
    checks += check_vectors(document, stored, dimension=target.settings.smoke.vector_dimension)
    checks += _thumbnails(ports, document, _result_folder(target, session_id))
    run = smoke_run(document, waited.host.instance_type if waited.host else "")
    checks += compare_run(ports, target, deployed.id, run)
    report = SmokeReport(
        release_id=deployed.id,
        job_id=job.id,
        session_id=session_id,
        video_url=video.url,
        result_uri=result_uri,
        instance_type=run.instance_type,
        gpu_memory_peak_bytes=run.gpu_memory_peak_bytes,
        seconds=max(job.stopped_ms - job.created_ms, 0) / 1000,
        checks=tuple(checks),
        timeline=timeline(job, waited.seen, document.get("timeline")),
    )
    if report.ok and run.work_ms:
        keep_run(ports, target, session_id, run)
    return report


def _thumbnails(ports: Ports, document: dict[str, Any], folder: str) -> tuple[Check, ...]:
    named = thumbnail_names(document)
    stored = ports.objects.list(f"{folder}/") if named else ()
    return check_thumbnails(named, {each.uri.removeprefix(f"{folder}/"): each.bytes for each in stored})


def _document(ports: Ports, uri: str) -> dict[str, Any]:
    if ports.objects.find(uri) is None:
        raise CapctlError(
            "result-missing",
            f"The job left no result at `{uri}`",
            hint="Read its log with `capctl job logs`",
            verdict=True,
        )
    return parse_result(b"".join(ports.objects.chunks(uri)), uri)
