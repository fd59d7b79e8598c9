"""A job in words: where it is, why, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lifecycle.domain.job import JobRecord, JobState, QueueState, reason_text
from lifecycle.domain.measures import counted
from lifecycle.domain.moved_jobs import MovedTo

# Hosts of a GPU release boot, join and pull within some minutes; what waits longer waits for something else.
_LONG_MIN = 15
_MS_PER_MIN = 60_000

_STATES = {
    JobState.SUBMITTED: "Batch has taken it and not looked at it yet",
    JobState.PENDING: "it waits for jobs that it depends on",
    JobState.RUNNABLE: "it waits for a host",
    JobState.STARTING: "it has a host, which pulls the image",
    JobState.RUNNING: "it runs",
    JobState.SUCCEEDED: "it has ended well",
    JobState.FAILED: "it has failed",
    JobState.UNKNOWN: "Batch says a word that capctl does not know",
}

# What Batch and ECS say, as its beginning or wherever a pattern finds it, what that means, and what to do.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"^MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "the release may have fewer vCPUs than the job asks for, so it never gets a host",
        "Cancel it, and deploy with a larger `release.max_vcpus`",
    ),
    (
        r"^MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "no instance type of the release has the vCPUs, the memory and the GPUs that the job asks for, so it never gets a host",
        "Cancel it, and deploy with other `release.instance_types`, or with less `release.vcpus`, `memory_mib` or `gpus`",
    ),
    (
        r"^MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "Batch may not start hosts",
        "Check the role AWSServiceRoleForBatch of the account: Batch goes on by itself once it is right",
    ),
    (
        r"^MISCONFIGURATION:",
        "the release can never give it a host",
        "Cancel it, correct what Batch names, and deploy again",
    ),
    (
        r"^CAPACITY:",
        "AWS has none of the release's instance types at the moment; Batch goes on trying",
        "Wait, or deploy with more `release.instance_types`, in more subnets, or with `release.spot: false`",
    ),
    (
        r"^Host EC2",
        "AWS took its host away, as it does with Spot instances",
        "Submit it again",
    ),
    (
        r"CannotPull(Container|Image)",
        "its host could not pull the image",
        "Run `capctl image verify` on the release's image, and check that the hosts reach the registry and may read it",
    ),
    (
        r"OutOfMemory",
        "it needed more memory than it may have",
        "Deploy with a larger `release.memory_mib`",
    ),
    (
        r"attempt duration exceeded timeout",
        "it took longer than it may, and what times out is not tried again",
        "Deploy with a larger `release.timeout_s`",
    ),
    (
        r"^Task failed to start",
        "its container could not be started",
        "Check that the AMI has what the release mounts: `capctl ami verify` on its AMI",
    ),
)
# What the kernel or the engine ended a container with, beyond the codes of the job's own contract.
_SIGNALS = {
    137: "it was killed (SIGKILL): by the kernel for its memory, or after it did not end in time",
    139: "it crashed (SIGSEGV)",
    143: "it was told to end (SIGTERM)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAccount:
    """`where` the job is, `why` in words, and what to do `next`; the last two are "" where there is nothing to say."""

    where: str
    why: str = ""
    next: str = ""


def job_account(
    job: JobRecord, queue: QueueState, *, now_ms: int, is_open: bool = True, gives_hosts: bool = True
) -> JobAccount:
    """The account of a job whose queue is in the state `queue`; it takes new jobs if it `is_open`, and its environment `gives_hosts`."""
    where = _STATES[job.state]
    if job.is_ending and not job.state.is_final:
        return JobAccount(where=f"{where}, and is being ended")
    if job.state is JobState.SUCCEEDED:
        return JobAccount(where=where)
    why, what = _meaning(job)
    if job.state is JobState.FAILED and job.attempts > 1:
        where += f", after {counted(job.attempts, 'attempt')}"
    elif not job.state.is_final and job.attempts:
        where += f", after {counted(job.attempts, 'failed attempt')}"
    if job.state.needs_host and queue is QueueState.VALID and not gives_hosts:
        return JobAccount(
            where=where,
            why="the compute environment of its queue is DISABLED, so that it gets none",
            next="Enable it with the command that `capctl drift` names, or give the job to the active release, if that is another one, "
            "with `capctl job move`",
        )
    if job.state is JobState.RUNNABLE and not why and queue is QueueState.VALID and not is_open:
        return JobAccount(
            where=where,
            why="its queue is DISABLED: it takes no new jobs, and those that it has, as this one, get hosts all the same",
            next="If the queue is to take jobs, enable it with the command that `capctl drift` names",
        )
    if job.state is JobState.RUNNABLE and not why:
        return _waiting(where, queue, (now_ms - job.created_ms) // _MS_PER_MIN)
    return JobAccount(where=where, why=why, next=what)


def no_log_text(job: JobRecord) -> str:
    """Why there is nothing to read of a job that wrote nothing, and where to look instead."""
    why, _ = _meaning(job)
    told = _STATES[job.state] + (f": {why}" if why else "")
    more = (
        f"`capctl job show {job.id}` tells what to do"
        if job.state is not JobState.SUCCEEDED
        else "its result tells more"
    )
    what = (
        "wrote nothing"
        if job.state.is_final and job.log_stream
        else "has no log"
        if job.state.is_final
        else "has no log yet"
    )
    return f"Job `{job.id}` {what}, {told}; {more}"


def moved_account(moved: MovedTo, release_id: str | None) -> JobAccount:
    """The account of a job that waited on release `release_id`, None for one that is gone, until it was moved."""
    where, why = "it was cancelled before it ran", f"it was moved to release {moved.release_id}"
    if moved.job_id:
        return JobAccount(
            where=where, why=why, next=f"Look at `capctl job show {moved.job_id}`, which runs in its place"
        )
    again = (
        f"Run `capctl job move {release_id}`, which finishes the move"
        if release_id
        else "Submit it again if its result is missing"
    )
    return JobAccount(where=where, why=f"{why}, where nothing is known of it", next=again)


def _waiting(where: str, queue: QueueState, minutes: int) -> JobAccount:
    if queue is not QueueState.VALID:
        return JobAccount(
            where=where,
            why=f"its queue is {queue}, so that it gets none",
            next="Look at `capctl status`, and deploy again, or roll back; then cancel it",
        )
    if minutes < _LONG_MIN:
        return JobAccount(where=where, why="which takes some minutes where none is up")
    return JobAccount(
        where=f"{where}, for {counted(minutes, 'minute')}",
        why="Batch gives no reason: its hosts may start and never join, or other jobs of the queue are before it",
        next="Check in EC2 that hosts of the release run, reach AWS from their subnets and have the right role; `capctl job ls` "
        "lists the other jobs",
    )


def _meaning(job: JobRecord) -> tuple[str, str]:
    """Why the job is where it is, and what to do."""
    # What ended an earlier attempt does not explain the failure of the last one.
    attempts = job.attempt_reasons[-1:] if job.state is JobState.FAILED else job.attempt_reasons
    said = [text for text in (job.reason, job.status_reason, *reversed(attempts)) if text]
    for text in said:
        for form, meaning, what in _REASONS:
            if re.search(form, text):
                return meaning, what
    if job.state is not JobState.FAILED:
        return "", ""
    if job.is_ending and not job.exit_code:
        return f"it was ended: {job.status_reason}" if job.status_reason else "it was ended", ""
    again = f"Run `capctl job logs {job.id}`: the end of its log says more"
    if job.exit_code in _SIGNALS:
        return _SIGNALS[job.exit_code], again
    return reason_text(job), again if job.exit_code else ""
