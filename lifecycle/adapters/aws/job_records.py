"""A job as DescribeJobs tells it, in capctl's words."""

from typing import Any

from lifecycle.domain.job import JobRecord, JobState, Obstacle, Purpose
from lifecycle.domain.tags import Tag

# What stands before the reason of a job that a queue ended by `jobStateTimeLimitActions`.
_TIME_LIMIT = "Canceled by JobStateTimeLimit action due to reason: "
# How Batch begins the reason of a job that has no host, or lost it.
_OBSTACLES = {
    "CAPACITY:": Obstacle.CAPACITY,
    "Host EC2": Obstacle.CAPACITY,
    "MISCONFIGURATION:": Obstacle.MISCONFIGURED,
}


def job_record(job: dict[str, Any]) -> JobRecord:
    """The job."""
    container = job.get("container") or {}
    reason = job.get("statusReason") or ""
    options = (container.get("logConfiguration") or {}).get("options") or {}
    return JobRecord(
        id=job["jobId"],
        name=job["jobName"],
        purpose=Purpose.SMOKE if (job.get("tags") or {}).get(Tag.PURPOSE) == Purpose.SMOKE else Purpose.WORK,
        state=JobState(job["status"]),
        obstacle=_obstacle(reason),
        status_reason=reason,
        exit_code=container.get("exitCode"),
        reason=container.get("reason") or "",
        queue_arn=job["jobQueue"],
        definition_arn=job["jobDefinition"],
        image=container.get("image") or "",
        log_group=options.get("awslogs-group", ""),
        log_stream=container.get("logStreamName") or "",
        cluster_instance_arn=container.get("containerInstanceArn") or "",
        attempts=len(job.get("attempts") or ()),
        created_ms=job.get("createdAt") or 0,
        started_ms=job.get("startedAt") or 0,
        stopped_ms=job.get("stoppedAt") or 0,
        attempt_reasons=tuple(_attempt_reason(attempt) for attempt in job.get("attempts") or ()),
        attempt_times=tuple(
            (attempt.get("startedAt") or 0, attempt.get("stoppedAt") or 0) for attempt in job.get("attempts") or ()
        ),
        is_ending=bool(job.get("isCancelled") or job.get("isTerminated")),
        replaces=(job.get("tags") or {}).get(Tag.REPLACES, ""),
    )


def _obstacle(reason: str) -> Obstacle | None:
    told = reason.removeprefix(_TIME_LIMIT)
    return next((found for begin, found in _OBSTACLES.items() if told.startswith(begin)), None)


def _attempt_reason(attempt: dict[str, Any]) -> str:
    return (attempt.get("container") or {}).get("reason") or attempt.get("statusReason") or ""
