"""Run a real job on a release and check what it did."""

from dataclasses import dataclass
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.analysis import parse_result
from lifecycle.domain.check import Check
from lifecycle.domain.job import JobRecord, JobState, Obstacle, Purpose, contract, state_text
from lifecycle.domain.layout import Folder
from lifecycle.domain.permissions import READ_JOBS, READ_LOGS, READ_OBJECTS, READ_POINTER, READ_STATE, SUBMIT_JOBS
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import DeployedRelease
from lifecycle.domain.run import Run
from lifecycle.domain.smoke import SmokeReport, check_document, check_host, check_rows
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, Inconclusive, Interrupted, TimedOut, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.jobs import JobRequest
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.jobs import job_watch, require_reachable
from lifecycle.workflows.lookups import active_pointer, deployed_release

PERMISSIONS = {"smoke": (*READ_POINTER, *READ_STATE)}

# A release that cannot start its job shows it in seconds; later the wait is for a host or for the video.
_JOB = Wait(shortest_s=0.5, longest_s=5.0, share=0.02)
_LOG_TAIL = 15


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
        *SUBMIT_JOBS,
        *READ_LOGS,
        *READ_OBJECTS,
        "batch:TerminateJob",
        "ec2:DescribeInstances",
        "ecs:DescribeContainerInstances",
    )

    def describe(self) -> str:
        return f"smoke release {self.release_id} with {self.target.settings.smoke.video_url}"

    def apply(self) -> SmokeReport:
        release = deployed_release(self.ports, self.release_id)
        job, host_ami = _run_job(self.ports, self.target, self.run, release)
        return _report(self.ports, self.target, release, job, host_ami)

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
            hint=f"Read `capctl job logs {result.job_id}` and `{result.result_uri}`",
            details=details,
            evidence=evidence,
            verdict=True,
        )


def plan_smoke(ports: Ports, target: Target, run: Run, *, release_id: str | None) -> Plan:
    """One step; without an id the active release is smoked. Raises `UsageError` without a video, `CapctlError` without a release."""
    require_video(target)
    if release_id is None:
        release_id = active_pointer(ports).release_id
    release = deployed_release(ports, release_id)
    return Plan(
        title=f"smoke release {release_id}",
        because="a real job is the proof",
        steps=(Smoke(ports=ports, target=target, run=run, release_id=release_id),),
        after=(MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id),),
    )


def require_video(target: Target) -> str:
    """The smoke video; raises `UsageError("video-missing" | "video-out-of-reach")`."""
    video_url = target.settings.smoke.video_url
    if not video_url:
        raise UsageError(
            "video-missing",
            f"Target `{target.name}` names no smoke video",
            hint=f"Set `smoke.video_url` to a short video below `{target.uri(Folder.SAMPLES)}/`",
        )
    require_reachable(target, video_url)
    return video_url


def _run_job(ports: Ports, target: Target, run: Run, release: DeployedRelease) -> tuple[JobRecord, AmiId | None]:
    """Submit, or follow the smoke job that a killed run left on the release's queue; returns it once it has succeeded."""
    smokes = [job for job in ports.jobs.list(release.job_queue_arn) if job.purpose is Purpose.SMOKE]
    left = [job for job in smokes if not job.state.is_final]
    job_id = left[0].id if left else ports.jobs.submit(_request(target, run, release))
    try:
        return _waited(ports, target, job_id)
    except (Interrupted, KeyboardInterrupt):
        ports.jobs.cancel(job_id, reason="capctl was interrupted")
        raise


def _request(target: Target, run: Run, release: DeployedRelease) -> JobRequest:
    session_id = f"smoke-{release.id}-{run.id}"
    return JobRequest(
        name=session_id,
        queue_arn=release.job_queue_arn,
        definition_arn=release.job_definition_arn,
        environment={
            contract.Env.VIDEO_URL.value: require_video(target),
            contract.Env.SESSION_ID.value: session_id,
            contract.Env.RESULT_URL.value: _result_folder(target, session_id),
        },
        tags={Tag.RELEASE: release.id, Tag.RUN: run.id},
        purpose=Purpose.SMOKE,
    )


def _result_folder(target: Target, session_id: str) -> str:
    return target.uri(Folder.SMOKE, session_id)


def _waited(ports: Ports, target: Target, job_id: str) -> tuple[JobRecord, AmiId | None]:
    """Wait until the job has succeeded; the host is asked for its AMI while it still is there.

    The job gets `smoke.timeout_s` to find a host and start, and once more for each attempt to run: counted on this machine's clock,
    from the first look that saw the attempt run, so that it ran at least that long.
    """
    host_ami: AmiId | None = None
    watch = job_watch(ports, job_id, lambda line: ports.ui.detail(line.message))
    timeout_s, begun_s = target.settings.smoke.timeout_s, ports.clock.monotonic()
    running: tuple[int, float] | None = None

    def look() -> JobRecord:
        nonlocal host_ami, running
        job = watch()
        host_ami = host_ami or ports.jobs.host_ami(job)
        if failure := _failure(ports, job):
            raise _stopped(ports, job, failure)
        now_s = ports.clock.monotonic()
        if job.state is not JobState.RUNNING:
            running = None
        elif running is None or running[0] != job.attempts:
            running = (job.attempts, now_s)
        if not job.state.is_final and now_s - (running[1] if running else begun_s) >= timeout_s:
            raise _stopped(ports, job, _overdue(ports, job, timeout_s))
        return job

    return wait_for(look, lambda job: job.state is JobState.SUCCEEDED, _JOB, ports.clock), host_ami


def _stopped(ports: Ports, job: JobRecord, failure: CapctlError) -> CapctlError:
    """The failure, after nothing runs any more for its sake."""
    if not job.state.is_final:
        ports.jobs.cancel(job.id, reason=failure.message)
    return failure


def _failure(ports: Ports, job: JobRecord) -> CapctlError | None:
    """Why the job will not succeed; None while it may. Want of capacity is no verdict on the release."""
    if job.state is JobState.FAILED and job.obstacle is Obstacle.CAPACITY:
        return _inconclusive(job, f"lost its host: {job.status_reason}")
    if job.state is JobState.FAILED or (job.state.needs_host and job.obstacle is Obstacle.MISCONFIGURED):
        return _failed(ports, job)
    return None


def _overdue(ports: Ports, job: JobRecord, timeout_s: int) -> CapctlError:
    if job.state.needs_host:
        return _inconclusive(job, f"got no host in time: {job.status_reason or 'Batch gives no reason'}")
    return TimedOut(
        "smoke-timed-out",
        f"Smoke job `{job.id}` was still {job.state} after {timeout_s} s, the whole of `smoke.timeout_s`",
        hint=f"Read `capctl job logs {job.id}`, or allow more time",
        details=_log_tail(ports, job),
        evidence={"job": job},
        # A job that hangs for all its time is the release's own fault; one that still starts may wait for a slow download.
        verdict=job.state is JobState.RUNNING,
    )


def _failed(ports: Ports, job: JobRecord) -> CapctlError:
    return CapctlError(
        "smoke-failed",
        f"Smoke job `{job.id}` is {state_text(job)}",
        hint=f"Read `capctl job logs {job.id}`",
        details=_log_tail(ports, job),
        evidence={"job": job},
        verdict=True,
    )


def _inconclusive(job: JobRecord, why: str) -> Inconclusive:
    return Inconclusive(
        "no-capacity",
        f"Smoke job `{job.id}` {why}; nothing was proven either way and the release stays",
        hint="Run the command again later, or allow more instance types in `release.instance_types`",
    )


def _log_tail(ports: Ports, job: JobRecord) -> tuple[str, ...]:
    return tuple(line.message for line in ports.jobs.logs(job).lines[-_LOG_TAIL:])


def _report(
    ports: Ports, target: Target, deployed: DeployedRelease, job: JobRecord, host_ami: AmiId | None
) -> SmokeReport:
    session_id, settings = job.name, target.settings.smoke
    result_uri = f"{_result_folder(target, session_id)}/{contract.RESULT_NAME}"
    document = _document(ports, result_uri)
    checks = [
        Check(name="job", ok=job.state is JobState.SUCCEEDED, expected="SUCCEEDED", found=job.state.value),
        *check_host(job, deployed, host_ami),
        *check_document(document, deployed, min_tracks=settings.min_tracks),
    ]
    if settings.database_url:
        checks.append(check_rows(document, ports.results.rows(settings.database_url, session_id)))
    return SmokeReport(
        release_id=deployed.id,
        job_id=job.id,
        session_id=session_id,
        result_uri=result_uri,
        seconds=max(job.stopped_ms - job.created_ms, 0) / 1000,
        checks=tuple(checks),
    )


def _document(ports: Ports, uri: str) -> dict[str, Any]:
    if ports.objects.find(uri) is None:
        raise CapctlError(
            "result-missing",
            f"The job left no result at `{uri}`",
            hint="Read its log with `capctl job logs`",
            verdict=True,
        )
    return parse_result(b"".join(ports.objects.chunks(uri)), uri)
