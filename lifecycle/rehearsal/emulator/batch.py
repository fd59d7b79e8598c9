"""AWS Batch: the mended calls put together and hooked into moto, and the members that moto drops on the way to its backend."""

from __future__ import annotations

import json
from typing import Any

import moto.batch.models
import moto.batch.urls
from moto.batch.models import batch_backends
from moto.batch.responses import BatchResponse

from lifecycle.rehearsal.emulator.compute_calls import ComputeCalls
from lifecycle.rehearsal.emulator.compute_environments import RehearsalEnvironment, RehearsalQueue
from lifecycle.rehearsal.emulator.ec2 import RehearsalEc2
from lifecycle.rehearsal.emulator.job_calls import JobCalls
from lifecycle.rehearsal.emulator.jobs import ENDED, RehearsalJob
from lifecycle.rehearsal.emulator.pages import page
from lifecycle.rehearsal.emulator.stage import Stage

# What ListJobs gives at once, and by a filter.
_LISTED, _LISTED_BY_FILTER = 1000, 100


class RehearsalBatch(ComputeCalls, JobCalls):
    """moto's Batch backend with AWS's rules about order, states and what may still be used."""

    @property
    def _url_module(self) -> Any:
        return moto.batch.urls


class RehearsalBatchResponse(BatchResponse):  # type: ignore[misc]
    """The calls whose members moto drops on the way to its backend."""

    @property
    def batch_backend(self) -> RehearsalBatch:
        backend: RehearsalBatch = batch_backends[self.current_account][self.region]
        return backend

    def updatecomputeenvironment(self) -> str:
        name, arn = self.batch_backend.update_compute_environment(
            compute_environment_name=self._get_param("computeEnvironment"),
            compute_resources=self._get_param("computeResources"),
            service_role=self._get_param("serviceRole"),
            state=self._get_param("state"),
            update_policy=self._get_param("updatePolicy"),
        )
        return json.dumps({"computeEnvironmentArn": arn, "computeEnvironmentName": name})

    def createjobqueue(self) -> str:
        queue = self.batch_backend.create_job_queue(
            queue_name=self._get_param("jobQueueName"),
            priority=self._get_param("priority"),
            schedule_policy=self._get_param("schedulingPolicyArn"),
            state=self._get_param("state"),
            compute_env_order=self._get_param("computeEnvironmentOrder"),
            tags=self._get_param("tags"),
            time_limit_actions=self._get_param("jobStateTimeLimitActions"),
        )
        return json.dumps({"jobQueueArn": queue.arn, "jobQueueName": queue.name})

    def updatejobqueue(self) -> str:
        name, arn = self.batch_backend.update_job_queue(
            queue_name=self._get_param("jobQueue"),
            priority=self._get_param("priority"),
            state=self._get_param("state"),
            compute_env_order=self._get_param("computeEnvironmentOrder"),
            schedule_policy=self._get_param("schedulingPolicyArn"),
            time_limit_actions=self._get_param("jobStateTimeLimitActions"),
        )
        return json.dumps({"jobQueueArn": arn, "jobQueueName": name})

    def submitjob(self) -> str:
        name, job_id, arn = self.batch_backend.submit_job(
            self._get_param("jobName"),
            self._get_param("jobDefinition"),
            self._get_param("jobQueue"),
            self._get_param("arrayProperties", {}),
            retry_strategy=self._get_param("retryStrategy"),
            depends_on=self._get_param("dependsOn"),
            container_overrides=self._get_param("containerOverrides"),
            timeout=self._get_param("timeout"),
            parameters=self._get_param("parameters"),
            tags=self._get_param("tags"),
        )
        return json.dumps({"jobArn": arn, "jobId": job_id, "jobName": name})

    def listjobs(self) -> str:
        filters = self._get_param("filters")
        jobs = self.batch_backend.list_jobs(
            self._get_param("jobQueue"), self._get_param("arrayJobId"), self._get_param("jobStatus"), filters
        )
        most = min(self._get_param("maxResults") or _LISTED, _LISTED_BY_FILTER if filters else _LISTED)
        shown, token = page(jobs, most=most, token=self._get_param("nextToken"))
        more = {"nextToken": token} if token else {}
        return json.dumps({"jobSummaryList": [job.describe_short() for job in shown], **more})

    def getjobqueuesnapshot(self) -> str:
        front = self.batch_backend.front_of_queue(self._get_param("jobQueue"))
        return json.dumps({"frontOfQueue": {"jobs": front}})


class Batch:
    """The running jobs over all accounts and regions."""

    def _jobs(self) -> list[RehearsalJob]:
        return [job for _, _, backend in batch_backends.iter_backends() for job in list(backend._jobs.values())]

    def running(self) -> list[str]:
        return [job.job_id for job in self._jobs() if job.status not in ENDED]

    def close(self) -> None:
        """End every job and wait until its container is removed."""
        jobs = [job for job in self._jobs() if job.is_alive()]
        if jobs:
            jobs[0].stage.stop_grace_s = 1
        for job in jobs:
            job.order_end("the emulator ends", final=True)
        for job in jobs:
            job.join(timeout=15)


def mend(stage: Stage) -> Batch:
    """Hook the mended classes into moto: its backend table, its URL table, and the one name by which it makes queues."""
    RehearsalJob.stage = stage
    RehearsalEnvironment.stage = stage
    batch_backends.backend = RehearsalBatch
    moto.batch.models.JobQueue = RehearsalQueue
    paths = dict.fromkeys(moto.batch.urls.url_paths, RehearsalBatchResponse.dispatch)
    moto.batch.urls.url_paths = {**paths, "{0}/v1/getjobqueuesnapshot": RehearsalBatchResponse.dispatch}
    RehearsalEc2.on_stopped.append(_end_jobs_on)
    return Batch()


def _end_jobs_on(instance_id: str) -> None:
    for _, _, backend in batch_backends.iter_backends():
        backend.end_jobs_on(instance_id)
