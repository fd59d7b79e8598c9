"""AWS Batch in memory, as far as `ports.Jobs` and `ports.Stack` see it: what there is, in which state, at which time."""

from __future__ import annotations

import json
import math
from collections import Counter

from lifecycle.domain.ami import AmiId
from lifecycle.domain.job import JobState, QueueState, contract
from lifecycle.ports.jobs import JobRequest
from tests.fakes.batch_compute import BatchCompute, BatchRefused, Environment, Host
from tests.fakes.batch_jobs import NO_CAPACITY, Job, Script
from tests.fakes.batch_retries import OVERDUE, End, ended, exited, runs_again
from tests.fakes.clock import FakeClock
from tests.fakes.objects import FakeObjects

_WITH_HOST = {JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED}


class FakeBatch(BatchCompute):
    """One account and region. Whatever is due by `clock` has happened before a call is answered.

    `stops_s`: how long a container takes to end when it is told to, `cancels_s` a job that waits. `idle_s`: how long a host outlives its
    job. While `has_capacity` is
    False nobody gets a host. `hosts` overrides the AMI that the hosts of a queue run. `finished` counts by session how often the
    container did its work to the end. The other knobs are `BatchCompute`'s.
    """

    def __init__(self, clock: FakeClock | None = None, objects: FakeObjects | None = None) -> None:
        super().__init__(clock or FakeClock())
        self.objects = objects or FakeObjects()
        self.jobs: dict[str, Job] = {}
        self.finished: Counter[str] = Counter()
        self.hosts: dict[str, AmiId] = {}
        self.job_ids = "job-{}"
        self.has_capacity = True
        self.stops_s = 0.0
        self.cancels_s = 0.0
        self.idle_s = 300.0

    def submit(self, request: JobRequest, script: Script) -> Job:
        """Raises `BatchRefused` without the queue, or the revision."""
        self.advance()
        if not self.has_queue(request.queue_arn):
            raise BatchRefused(f"Job queue {request.queue_arn} does not exist")
        if not self.queues[request.queue_arn].is_enabled:
            raise BatchRefused(f"Job queue {request.queue_arn} is DISABLED")
        if request.definition_arn not in self.definitions:
            raise BatchRefused(f"JobDefinition {request.definition_arn} is not ACTIVE")
        number = len(self.jobs) + 1
        job = Job(
            id=self.job_ids.format(number),
            number=number,
            request=request,
            definition=self.definitions[request.definition_arn],
            script=script,
            left=script.looks,
            created_ms=self._ms(self.clock.monotonic()),
        )
        if script.goes_by_time:
            job.due_s = self.clock.monotonic()
        self.jobs[job.id] = job
        return job

    def jobs_of(self, queue_arn: str) -> list[Job]:
        """Of a queue, newest first; Batch knows them for a week, the queue or not."""
        self.advance()
        return [job for job in reversed(self.jobs.values()) if job.request.queue_arn == queue_arn]

    def look(self, job_id: str) -> Job | None:
        """One job, which a course of states brings one state further."""
        self.advance()
        job = self.jobs.get(job_id)
        if job and job.left:
            self._see(job, job.left.pop(0))
        return job

    def terminate(self, job_id: str, reason: str) -> None:
        """End a job wherever it is; nothing happens to one that has ended. Raises `BatchRefused` for an unknown one."""
        self.advance()
        if job_id not in self.jobs:
            raise BatchRefused(f"Job {job_id} does not exist")
        job = self.jobs[job_id]
        if job.state.is_final or job.ordered:
            return
        has_container = job.script.goes_by_time and job.state is JobState.RUNNING
        job.left, job.ordered = [], ended(reason[:256], exit_code=137 if has_container else None)
        stopped_s = self.clock.monotonic() + (self.stops_s if has_container else 0.0)
        job.due_s = min(job.due_s, stopped_s)
        self.advance()

    def cancel(self, job_id: str, reason: str) -> None:
        """End a job that has no host yet, after `cancels_s`; nothing happens to another. Raises `BatchRefused` for an unknown one."""
        self.advance()
        if job_id not in self.jobs:
            raise BatchRefused(f"Job {job_id} does not exist")
        job = self.jobs[job_id]
        if not job.state.needs_host or job.ordered:
            return
        job.left, job.ordered, job.is_waiting = [], ended(reason[:256]), False
        job.due_s = self.clock.monotonic() + self.cancels_s
        self.advance()

    def host(self, instance_arn: str) -> Host | None:
        """The host of that container instance while it is there."""
        self.advance()
        found = self._hosts.get(instance_arn)
        return found if found and self.clock.monotonic() < found.gone_s else None

    def reclaim(self, job_id: str) -> None:
        """Spot takes the host of a job back."""
        self.advance()
        job = self.jobs[job_id]
        if job.host and job.holds_vcpus:
            self._finish(job, End(status_reason=f"Host EC2 (instance {job.host.instance_id}) terminated."))

    def _queue_is_gone(self, arn: str) -> None:
        for job in self.jobs_of(arn):
            self.terminate(job.id, "Job queue deleted")

    def advance(self) -> None:
        """Let everything happen that is due, in its order."""
        now_s = self.clock.monotonic()
        for job in self.jobs.values():
            if job.is_waiting:
                job.due_s = min(job.due_s, now_s)
        while due := [job for job in self.jobs.values() if job.due_s <= now_s and not job.state.is_final]:
            job = min(due, key=lambda one: (one.due_s, one.number))
            at_s, job.due_s = job.due_s, math.inf
            self._step(job, at_s)

    def _step(self, job: Job, at_s: float) -> None:
        """From the state that is over to the next."""
        attempt = job.script.attempt(len(job.ends)) if job.script.goes_by_time else None
        if job.ordered or attempt is None:
            self._finish(job, job.ordered or End(), at_s)
        elif job.state is JobState.SUBMITTED:
            job.state, job.due_s = JobState.PENDING, at_s
        elif job.state is JobState.PENDING:
            job.state, job.due_s = JobState.RUNNABLE, at_s + attempt.waits_s
        elif job.state is JobState.RUNNABLE:
            self._place(job, at_s + attempt.starts_s, at_s)
        elif job.state is JobState.STARTING and attempt.end.has_run:
            job.state, job.due_s = JobState.RUNNING, at_s + min(attempt.runs_s, job.timeout_s)
            job.begin(self._ms(at_s))
        elif job.state is JobState.RUNNING and attempt.runs_s > job.timeout_s:
            self._finish(job, OVERDUE, at_s)
        else:
            self._finish(job, attempt.end, at_s)

    def _place(self, job: Job, started_s: float, at_s: float) -> None:
        """Give a job a host, or say why it gets none."""
        environment = self.environments.get(self.queues[job.request.queue_arn].environment_arn)
        job.is_waiting, job.status_reason = True, ""
        if environment is None or environment.condition(at_s).state is not QueueState.VALID:
            return
        if misfit := environment.misfit(job.definition.needs):
            job.status_reason = misfit
        elif not self.has_capacity:
            job.status_reason = NO_CAPACITY
        elif self._used(environment) + job.definition.needs.vcpus <= environment.max_vcpus:
            job.is_waiting, job.state, job.due_s = False, JobState.STARTING, started_s
            job.host = self._launch(job)

    def _used(self, environment: Environment) -> int:
        """The vCPUs that jobs hold."""
        holders = (job for job in self.jobs.values() if job.holds_vcpus and job.host)
        return sum(
            job.definition.needs.vcpus
            for job in holders
            if job.host and job.host.environment_arn == environment.arn
        )  # fmt: skip

    def _launch(self, job: Job) -> Host:
        queue, number = self.queues[job.request.queue_arn], len(self._hosts) + 1
        environment, cluster = self.environments[queue.environment_arn], queue.environment_arn.rpartition("/")[2]
        host = Host(
            instance_id=f"i-{number:017x}",
            arn=f"arn:aws:ecs:us-west-2:123456789012:container-instance/{cluster}/{number:032x}",
            ami_id=self.hosts.get(queue.arn) or environment.ami_id,
            instance_type=environment.instance_types[0],
            environment_arn=queue.environment_arn,
        )
        self._hosts[host.arn] = host
        return host

    def _finish(self, job: Job, end: End, at_s: float | None = None) -> None:
        """An attempt is over: on to the next, or to the end of the job."""
        at_s = self.clock.monotonic() if at_s is None else at_s
        job.is_waiting = False
        if job.holds_vcpus and job.host:
            end = end.on(job.host.instance_id)
            job.host.gone_s = at_s if end.loses_host else at_s + self.idle_s
            job.ends.append(end)
        job.status_reason = end.status_reason
        if job.ends and runs_again(job.strategy(), attempts=len(job.ends), end=end):
            attempt = job.script.attempt(len(job.ends))
            job.state, job.due_s = JobState.RUNNABLE, at_s + attempt.waits_s
            return
        if end.has_run and job.stream and not end.is_final and not end.loses_host:
            job.write("analysis ends")
        job.state, job.stopped_ms = (JobState.SUCCEEDED if end.is_success else JobState.FAILED), self._ms(at_s)
        if end.is_success:
            self._leave(job)

    def _see(self, job: Job, state: JobState) -> None:
        """What a look finds, of a course of states."""
        now_s = self.clock.monotonic()
        if state in _WITH_HOST and job.host is None:
            job.host = self._launch(job)
        if state in _WITH_HOST - {JobState.STARTING} and not job.stream:
            job.begin(self._ms(now_s))
        job.state = state
        if not job.left:
            job.seen = job.script.outcome
        if state.is_final:
            job.ends.append(exited(0) if state is JobState.SUCCEEDED else End())
            job.stopped_ms = self._ms(now_s)
            job.write("analysis ends")
            if job.host:
                job.host.gone_s = now_s + self.idle_s
            if state is JobState.SUCCEEDED:
                self._leave(job)

    def _leave(self, job: Job) -> None:
        """What the container of a job that succeeded has done."""
        environment = job.request.environment
        self.finished[environment.get(contract.Env.SESSION_ID, job.id)] += 1
        if (folder := environment.get(contract.Env.RESULT_URL)) and job.script.leaves is not None:
            self.objects.write(f"{folder}/{contract.RESULT_NAME}", json.dumps(job.script.leaves).encode())

    def _ms(self, at_s: float) -> int:
        """Milliseconds since the epoch."""
        begun = self.clock.now().timestamp() - self.clock.monotonic()
        return round((begun + at_s) * 1000)
