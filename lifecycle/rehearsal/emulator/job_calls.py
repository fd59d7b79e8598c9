"""Batch calls about job definitions and jobs, and the placing of jobs on the instances of their queue."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.batch.models import BatchBackend, JobDefinition

from lifecycle.rehearsal.emulator.compute_environments import Host, RehearsalEnvironment, refuse
from lifecycle.rehearsal.emulator.jobs import BEFORE_STARTING, RehearsalJob

_JOB_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")
_SHOWN_IN_SNAPSHOT = 100


class JobCalls(BatchBackend):  # type: ignore[misc]
    """The calls about what runs."""

    _placing = threading.Lock()

    # --- job definitions ------------------------------------------------------------------------------------------

    def register_job_definition(
        self, *arguments: Any, platform_capabilities: list[str] | None, propagate_tags: bool | None, **options: Any
    ) -> JobDefinition:
        """moto gives another revision what the one before it had."""
        made = super().register_job_definition(
            *arguments, platform_capabilities=platform_capabilities, propagate_tags=propagate_tags, **options
        )
        made.platform_capabilities, made.propagate_tags = platform_capabilities, propagate_tags
        return made

    def get_job_definition(self, identifier: str) -> JobDefinition | None:
        """The definition a submission means: of a bare name its latest ACTIVE revision."""
        if identifier.startswith("arn:") or ":" in identifier:
            found = super().get_job_definition(identifier)
            return found if found is not None and found.status == "ACTIVE" else None
        active = [one for one in self._job_definitions.values() if one.name == identifier and one.status == "ACTIVE"]
        return max(active, key=lambda one: int(one.revision), default=None)

    def get_job_definitions(self, identifier: str) -> list[JobDefinition]:
        name, _, revision = identifier.partition(":")
        if revision.isdecimal():
            found = self.get_job_definition_by_name_revision(name, revision)
            return [found] if found else []
        return list(super().get_job_definitions(identifier))

    # --- jobs -----------------------------------------------------------------------------------------------------

    def submit_job(
        self,
        job_name: str,
        job_def_id: str,
        job_queue: str,
        array_properties: dict[str, int],
        retry_strategy: dict[str, Any] | None = None,
        **options: Any,
    ) -> tuple[str, str, str]:
        options.pop("eks_properties_override", None)
        if not _JOB_NAME.match(job_name):
            raise refuse("Job name should match valid pattern")
        definition = self.get_job_definition(job_def_id)
        if definition is None:
            raise refuse(f"JobDefinition {job_def_id} is not ACTIVE or does not exist")
        queue = self.get_job_queue(job_queue)
        if queue is None:
            raise refuse(f"Job queue {job_queue} does not exist")
        if queue.state != "ENABLED":
            raise refuse(f"Job queue {queue.name} is not ENABLED")

        def job(properties: dict[str, Any], job_id: str | None) -> RehearsalJob:
            return RehearsalJob(
                job_name,
                definition,
                queue,
                self,
                log_backend=self.logs_backend,
                eks_properties_override=None,
                all_jobs=self._jobs,
                array_properties=properties,
                provided_job_id=job_id,
                retry_strategy=retry_strategy,
                **{"depends_on": None, "container_overrides": None, "timeout": None, "parameters": None, **options},
            )

        parent = job(array_properties, None)
        self._jobs[parent.job_id] = parent
        if "size" not in array_properties:
            parent.start()
            return job_name, parent.job_id, parent.arn
        parent._child_jobs = [
            job({"index": index}, f"{parent.job_id}:{index}") for index in range(array_properties["size"])
        ]
        for child in parent._child_jobs:
            queue.jobs.remove(child)  # ListJobs of a queue shows the parent only
            self._jobs[child.job_id] = child
            child.start()
        return job_name, parent.job_id, parent.arn

    def place(self, job: RehearsalJob) -> tuple[Host | None, str | None]:
        """Where a RUNNABLE job may start now, or why it waits; the job counts as started when a host is returned."""
        with self._placing:
            if job.is_ordered_to_end:
                return None, None
            too_small = True
            for environment in job.job_queue.environments:
                if environment.arn not in self._compute_environments or not environment.takes_jobs:
                    too_small = False
                    continue
                if job.vcpus > environment.most_vcpus:
                    continue
                too_small = False
                if self._used_vcpus(environment) + job.vcpus <= environment.most_vcpus:
                    host: Host | None = environment.host()
                    if host is not None:
                        job.host, job.status = host, "STARTING"
                        return host, None
        if too_small:
            return None, "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - the job needs more vCPUs than maxvCpus"
        return None, None

    def _used_vcpus(self, environment: RehearsalEnvironment) -> float:
        used: list[float] = [
            job.vcpus
            for job in list(self._jobs.values())
            if job.holds_capacity and job.host is not None and job.host.environment_name == environment.name
        ]
        return sum(used)

    def end_jobs_on(self, instance_id: str) -> None:
        """The instance is gone: its jobs fail as they do when Spot takes an instance back."""
        for job in list(self._jobs.values()):
            if job.holds_capacity and job.host is not None and job.host.instance.id == instance_id:
                job.order_end(f"Host EC2 (instance {instance_id}) terminated.", final=False)

    def list_jobs(
        self, job_queue_name: str | None, array_job_id: str | None, job_status: str | None = None, filters: Any = None
    ) -> list[RehearsalJob]:
        """As AWS: without filter and status only RUNNING jobs; by a filter, of which it takes one, jobs in any state, newest first."""
        if not filters:
            status = job_status or (None if array_job_id else "RUNNING")
            return list(super().list_jobs(job_queue_name, array_job_id, status))
        if len(filters) > 1:
            raise refuse("Only one filter can be used at a time")
        (wanted,) = filters
        if wanted["name"] not in _FILTERS:
            raise refuse(f"{wanted['name']} is not a filter of this emulator")
        found = [
            job
            for job in super().list_jobs(job_queue_name, array_job_id, filters=[{"name": "ANY"}])
            if any(_FILTERS[wanted["name"]](value, job) for value in wanted["values"])
        ]
        # Of those of one millisecond, too, the one that came last is the newest.
        found.reverse()
        return sorted(found, key=lambda job: -job.created_ms)

    def cancel_job(self, job_id: str, reason: str) -> None:
        """Nothing happens to a job that has started; of an array, to those children that have."""
        job = self.get_job_by_id(job_id)
        if job is None:
            return
        # None starts between the look at its state and the order.
        with self._placing:
            for one in job._child_jobs or [job]:
                if one.status in BEFORE_STARTING:
                    one.cancel(reason)

    def front_of_queue(self, queue_name: str) -> list[dict[str, Any]]:
        """The RUNNABLE jobs, oldest first, as GetJobQueueSnapshot gives them."""
        queue = self.get_job_queue(queue_name)
        if queue is None:
            raise refuse(f"Job queue {queue_name} does not exist")
        runnable = [job for job in queue.jobs if job.status == "RUNNABLE"]
        return [{"jobArn": job.arn, "earliestTimeAtPosition": job.created_ms} for job in runnable[:_SHOWN_IN_SNAPSHOT]]


def _names_definition(value: str, job: RehearsalJob) -> bool:
    definition = job.job_definition
    if value.startswith("arn:"):
        return bool(definition.arn == value or definition.arn.rpartition(":")[0] == value)
    return _matches(value, definition.name)


def _is_named(value: str, job: RehearsalJob) -> bool:
    return _matches(value.lower(), job.job_name.lower())


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


_FILTERS: Mapping[str, Callable[[str, RehearsalJob], bool]] = {
    "JOB_DEFINITION": _names_definition,
    "JOB_NAME": _is_named,
    "AFTER_CREATED_AT": lambda value, job: job.created_ms > int(value),
    "BEFORE_CREATED_AT": lambda value, job: job.created_ms < int(value),
}
