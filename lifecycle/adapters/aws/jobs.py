"""Batch jobs, their logs and their hosts."""

import re
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobHost, JobRecord, JobState, Obstacle, Purpose, QueueState
from lifecycle.domain.job_counts import JobCounts, count_states
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest, LogLine, LogPage, QueueStatus

# ListJobs gives a hundred a page where it is asked by a filter, newest first.
_COUNTED_PAGES = 10
# DescribeJobs takes up to this many ids.
_DESCRIBED_AT_ONCE = 100
_DEFAULT_LOG_GROUP = "/aws/batch/job"
# Of a job's name: letters, digits, hyphens and underscores.
_NAME_LENGTH, _NOT_IN_NAMES = 128, re.compile(r"[^A-Za-z0-9_-]")
_REASON_LENGTH = 256
# What stands before the reason of a job that a queue ended by `jobStateTimeLimitActions`.
_TIME_LIMIT = "Canceled by JobStateTimeLimit action due to reason: "
# How Batch begins the reason of a job that has no host, or lost it.
_OBSTACLES = {
    "CAPACITY:": Obstacle.CAPACITY,
    "Host EC2": Obstacle.CAPACITY,
    "MISCONFIGURATION:": Obstacle.MISCONFIGURED,
}


class BatchJobs:
    """`ports.Jobs` on AWS Batch, ECS, EC2 and CloudWatch Logs."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def submit(self, request: JobRequest) -> str:
        overrides = [{"name": name, "value": value} for name, value in sorted(request.environment.items())]
        timeout = {"timeout": {"attemptDurationSeconds": request.timeout_s}} if request.timeout_s else {}
        with translated(f"submitting job `{request.name}`"):
            answer = self._session.client("batch").submit_job(
                jobName=_NOT_IN_NAMES.sub("-", request.name)[:_NAME_LENGTH],
                jobQueue=request.queue_arn,
                jobDefinition=request.definition_arn,
                containerOverrides={"environment": overrides},
                tags={**request.tags, Tag.PURPOSE: request.purpose.value},
                propagateTags=True,
                **timeout,
            )
        return str(answer["jobId"])

    def get(self, job_id: str) -> JobRecord:
        found = self._describe((job_id,))
        if not found:
            raise CapctlError(
                "job-missing",
                f"Batch knows no job `{job_id}`; it forgets jobs after some days",
                hint="List jobs with `capctl job ls`",
            )
        return found[0]

    def list(self, queue_arn: str) -> tuple[JobRecord, ...]:
        ids: list[str] = []
        with translated(f"listing the jobs of `{queue_arn}`"):
            for state in (state for state in JobState if state is not JobState.UNKNOWN):
                pages = self._session.client("batch").get_paginator("list_jobs")
                for page in pages.paginate(jobQueue=queue_arn, jobStatus=state.value):
                    ids += [str(job["jobId"]) for job in page["jobSummaryList"]]
        # A job that changed its state while the states were listed one by one may stand in two of them.
        jobs = self._describe(tuple(dict.fromkeys(ids)))
        return tuple(sorted(jobs, key=lambda job: job.created_ms, reverse=True))

    def count(self, queue_arn: str, definition_arn: str) -> JobCounts:
        # The filter shows jobs of every state at once, which asking without one does not.
        asked = {"jobQueue": queue_arn, "filters": [{"name": "JOB_DEFINITION", "values": [definition_arn]}]}
        states: list[JobState] = []
        with translated(f"counting the jobs of `{queue_arn}`"):
            pages = self._session.client("batch").get_paginator("list_jobs").paginate(**asked)
            for number, page in enumerate(pages, start=1):
                states += [JobState(job["status"]) for job in page["jobSummaryList"]]
                if number == _COUNTED_PAGES and page.get("nextToken"):
                    return count_states(states, is_complete=False)
        return count_states(states)

    def logs(self, job: JobRecord, *, after: str | None = None) -> LogPage:
        if not job.log_stream:
            return LogPage(end=after)
        with translated(f"reading the log of job `{job.id}`"):
            try:
                return self._log_page(job, after)
            except ClientError as error:
                if is_missing(error):
                    return LogPage(end=after)
                raise

    def cancel(self, job_id: str, *, reason: str) -> None:
        with translated(f"ending job `{job_id}`"):
            self._session.client("batch").terminate_job(jobId=job_id, reason=reason[:_REASON_LENGTH])

    def host(self, job: JobRecord) -> JobHost | None:
        cluster = job.cluster_instance_arn.rpartition(":container-instance/")[2].rpartition("/")[0]
        if not cluster:
            return None
        with translated(f"looking for the host of job `{job.id}`"):
            hosts = self._session.client("ecs").describe_container_instances(
                cluster=cluster, containerInstances=[job.cluster_instance_arn]
            )["containerInstances"]
            if not hosts:
                return None
            answer = self._session.client("ec2").describe_instances(InstanceIds=[hosts[0]["ec2InstanceId"]])
        instances = [instance for group in answer["Reservations"] for instance in group["Instances"]]
        if not instances:
            return None
        return JobHost(ami_id=AmiId(instances[0]["ImageId"]), instance_type=instances[0]["InstanceType"])

    def queue_status(self, queue_arn: str) -> QueueStatus:
        batch = self._session.client("batch")
        with translated(f"looking at queue `{queue_arn}`"):
            queues = batch.describe_job_queues(jobQueues=[queue_arn])["jobQueues"]
            if not queues:
                return QueueStatus(state=QueueState.MISSING, reason=f"job queue `{queue_arn}` does not exist")
            order = [entry["computeEnvironment"] for entry in queues[0]["computeEnvironmentOrder"]]
            environments = batch.describe_compute_environments(computeEnvironments=order)["computeEnvironments"]
        if len(environments) < len(order):
            return QueueStatus(state=QueueState.MISSING, reason="a compute environment of the queue does not exist")
        found = [
            QueueStatus(state=QueueState(part["status"]), reason=part.get("statusReason") or "")
            for part in (*queues, *environments)
        ]
        return min(found, key=lambda status: [*QueueState].index(status.state))

    def close_queue(self, queue_arn: str) -> None:
        with translated(f"closing queue `{queue_arn}`"):
            batch = self._session.client("batch")
            # Batch refuses to update what is being made or changed, and says of one that does not exist no more than that.
            if any(
                queue["state"] == "ENABLED" for queue in batch.describe_job_queues(jobQueues=[queue_arn])["jobQueues"]
            ):
                batch.update_job_queue(jobQueue=queue_arn, state="DISABLED")

    def open_queue(self, queue_arn: str) -> None:
        with translated(f"opening queue `{queue_arn}`"):
            batch = self._session.client("batch")
            if any(
                queue["state"] != "ENABLED" for queue in batch.describe_job_queues(jobQueues=[queue_arn])["jobQueues"]
            ):
                batch.update_job_queue(jobQueue=queue_arn, state="ENABLED")

    def compute_environments(self) -> frozenset[str]:
        with translated("listing compute environments"):
            pages = self._session.client("batch").get_paginator("describe_compute_environments").paginate()
            return frozenset(one["computeEnvironmentName"] for page in pages for one in page["computeEnvironments"])

    def _describe(self, ids: Sequence[str]) -> Sequence[JobRecord]:
        found = []
        with translated("describing jobs"):
            for start in range(0, len(ids), _DESCRIBED_AT_ONCE):
                chunk = ids[start : start + _DESCRIBED_AT_ONCE]
                answer = self._session.client("batch").describe_jobs(jobs=[*chunk])
                found += [_record(job) for job in answer["jobs"]]
        return found

    def _log_page(self, job: JobRecord, after: str | None) -> LogPage:
        lines: list[LogLine] = []
        while True:
            answer = self._session.client("logs").get_log_events(
                logGroupName=job.log_group or _DEFAULT_LOG_GROUP,
                logStreamName=job.log_stream,
                startFromHead=True,
                **({"nextToken": after} if after else {}),
            )
            lines += [LogLine(at_ms=event["timestamp"], message=event["message"]) for event in answer["events"]]
            # The end of a stream gives back the token that was sent; a page without events may come before it.
            if answer["nextForwardToken"] == after:
                return LogPage(lines=tuple(lines), end=after)
            after = str(answer["nextForwardToken"])


def _record(job: dict[str, Any]) -> JobRecord:
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
    )


def _obstacle(reason: str) -> Obstacle | None:
    told = reason.removeprefix(_TIME_LIMIT)
    return next((found for begin, found in _OBSTACLES.items() if told.startswith(begin)), None)


def _attempt_reason(attempt: dict[str, Any]) -> str:
    return (attempt.get("container") or {}).get("reason") or attempt.get("statusReason") or ""
