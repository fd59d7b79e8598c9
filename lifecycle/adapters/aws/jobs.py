"""Batch jobs, their logs and their hosts."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.job_lists import newest_page, summaries
from lifecycle.adapters.aws.job_records import job_record
from lifecycle.adapters.aws.job_submissions import submission
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobHost, JobRecord, JobState, QueueState
from lifecycle.domain.job_counts import JobCounts, count_states
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports.jobs import JobRequest, LogLine, LogPage, QueueStatus, Submission, queue_disabled

# DescribeJobs and DescribeJobDefinitions take up to this many.
_DESCRIBED_AT_ONCE = 100
_DEFAULT_LOG_GROUP = "/aws/batch/job"
# Of a job's name: letters, digits, hyphens and underscores.
_NAME_LENGTH, _NOT_IN_NAMES = 128, re.compile(r"[^A-Za-z0-9_-]")
_REASON_LENGTH = 256
_ENABLED = "ENABLED"
# Batch has one code for whatever the caller did wrong.
_CLOSED = re.compile(r"[Jj]ob ?[Qq]ueue\b.*\b(?:not (?:in )?(?:an? |the )?ENABLED|DISABLED)\b")


class BatchJobs:
    """`ports.Jobs` on AWS Batch, ECS, EC2 and CloudWatch Logs."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def submit(self, request: JobRequest) -> str:
        overrides = [{"name": name, "value": value} for name, value in sorted(request.environment.items())]
        timeout = {"timeout": {"attemptDurationSeconds": request.timeout_s}} if request.timeout_s else {}
        with translated(f"submitting job `{request.name}`"):
            try:
                answer = self._session.client("batch").submit_job(
                    jobName=_NOT_IN_NAMES.sub("-", request.name)[:_NAME_LENGTH],
                    jobQueue=request.queue_arn,
                    jobDefinition=request.definition_arn,
                    containerOverrides={"environment": overrides},
                    tags={**request.tags, Tag.PURPOSE: request.purpose.value},
                    propagateTags=True,
                    **timeout,
                )
            except ClientError as error:
                if not _CLOSED.search(str(error)):
                    raise
                raise queue_disabled(request.queue_arn) from error
        return str(answer["jobId"])

    def get(self, job_id: str) -> JobRecord:
        found = self.find((job_id,))
        if not found:
            raise CapctlError(
                "job-missing",
                f"Batch knows no job `{job_id}`; it forgets jobs after some days",
                hint="List jobs with `capctl job ls`",
            )
        return found[0]

    def find(self, job_ids: Sequence[str]) -> tuple[JobRecord, ...]:
        return tuple(job_record(job) for job in self._describe(job_ids))

    def submissions(self, job_ids: Sequence[str]) -> tuple[Submission, ...]:
        jobs = self._describe(job_ids)
        arns = [*dict.fromkeys(str(job["jobDefinition"]) for job in jobs)]
        definitions: dict[str, Any] = {}
        with translated("describing job definitions"):
            for chunk in _chunks(arns):
                answer = self._session.client("batch").describe_job_definitions(jobDefinitions=chunk)
                definitions |= {str(one["jobDefinitionArn"]): one for one in answer["jobDefinitions"]}
        return tuple(submission(job, definitions.get(str(job["jobDefinition"]))) for job in jobs)

    def list(
        self,
        queue_arn: str,
        *,
        states: Collection[JobState] = (),
        since_ms: int | None = None,
        named: str = "",
        reason: str = "",
    ) -> tuple[JobRecord, ...]:
        with translated(f"listing the jobs of `{queue_arn}`"):
            batch = self._session.client("batch")
            found = summaries(batch, queue_arn, states=states, since_ms=since_ms, named=named)
            ids = dict.fromkeys(
                str(job["jobId"]) for job in found if str(job.get("statusReason") or "").startswith(reason)
            )
        jobs = (job for job in self.find(tuple(ids)) if not states or job.state in states)
        return tuple(sorted(jobs, key=lambda job: job.created_ms, reverse=True))

    def count(self, queue_arn: str, definition_arn: str = "") -> JobCounts:
        with translated(f"counting the jobs of `{queue_arn}`"):
            jobs, is_complete = newest_page(self._session.client("batch"), queue_arn, definition_arn)
        return count_states((JobState(job["status"]) for job in jobs), is_complete=is_complete)

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

    def withdraw(self, job_id: str, *, reason: str) -> None:
        with translated(f"cancelling job `{job_id}`"):
            self._session.client("batch").cancel_job(jobId=job_id, reason=reason[:_REASON_LENGTH])

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
        is_open = queues[0]["state"] == _ENABLED
        gives_hosts = any(environment["state"] == _ENABLED for environment in environments)
        found = [
            QueueStatus(
                state=QueueState(part["status"]),
                reason=part.get("statusReason") or "",
                is_open=is_open,
                gives_hosts=gives_hosts,
            )
            for part in (*queues, *environments)
        ]
        return min(found, key=lambda status: [*QueueState].index(status.state))

    def close_queue(self, queue_arn: str) -> None:
        with translated(f"closing queue `{queue_arn}`"):
            batch = self._session.client("batch")
            # Batch refuses to update what is being made or changed, and says of one that does not exist no more than that.
            if any(
                queue["state"] == _ENABLED for queue in batch.describe_job_queues(jobQueues=[queue_arn])["jobQueues"]
            ):
                batch.update_job_queue(jobQueue=queue_arn, state="DISABLED")

    def open_queue(self, queue_arn: str) -> None:
        with translated(f"opening queue `{queue_arn}`"):
            batch = self._session.client("batch")
            if any(
                queue["state"] != _ENABLED for queue in batch.describe_job_queues(jobQueues=[queue_arn])["jobQueues"]
            ):
                batch.update_job_queue(jobQueue=queue_arn, state=_ENABLED)

    def compute_environments(self) -> frozenset[str]:
        with translated("listing compute environments"):
            pages = self._session.client("batch").get_paginator("describe_compute_environments").paginate()
            return frozenset(one["computeEnvironmentName"] for page in pages for one in page["computeEnvironments"])

    def _describe(self, ids: Sequence[str]) -> Sequence[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with translated("describing jobs"):
            for chunk in _chunks(ids):
                found += self._session.client("batch").describe_jobs(jobs=chunk)["jobs"]
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


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return ([*names[start : start + _DESCRIBED_AT_ONCE]] for start in range(0, len(names), _DESCRIBED_AT_ONCE))
