"""A Batch job: its states, attempts and container. moto's own job ignores most of what a job definition says."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from moto.batch.models import Job

from lifecycle.rehearsal.emulator import containers, processes
from lifecycle.rehearsal.emulator.host_paths import MissingHostPath
from lifecycle.rehearsal.emulator.job_container import (
    SecretUnavailable,
    container_spec,
    properties_of,
    requirements_of,
)
from lifecycle.rehearsal.emulator.retries import AttemptEnd, is_retried
from lifecycle.rehearsal.emulator.stage import Stage

_log = logging.getLogger(__name__)
LOG_GROUP = "/aws/batch/job"
ENDED = ("SUCCEEDED", "FAILED")
BEFORE_STARTING = ("SUBMITTED", "PENDING", "RUNNABLE")
_LOOK_AGAIN_S = 0.1  # how often a waiting job looks whether it can go on


class RehearsalJob(Job):  # type: ignore[misc]
    """One job, run by its own thread; a parent of an array job only sums up its children."""

    stage: ClassVar[Stage]

    def __init__(self, *arguments: Any, retry_strategy: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.retry_strategy = dict(retry_strategy or self.job_definition.retry_strategy or {"attempts": 1})
        self.created_ms = _now_ms()
        self.started_ms: int | None = None
        self.stopped_ms: int | None = None
        self.end: AttemptEnd | None = None
        self.host: Any = None
        self._own_status = "SUBMITTED"
        self._is_cancelled = False
        self._ordered_end: AttemptEnd | None = None
        self._running: containers.Running | None = None
        self._ordered = threading.Event()
        self._lock = threading.Lock()

    @property
    def status(self) -> str:
        if not self._child_jobs:
            return self._own_status
        children = {child.status for child in self._child_jobs}
        if children <= set(ENDED):
            return "SUCCEEDED" if children == {"SUCCEEDED"} else "FAILED"
        return "PENDING"

    @status.setter
    def status(self, value: str) -> None:
        self._own_status = value

    @property
    def vcpus(self) -> float:
        return float(requirements_of(self).get("VCPU") or properties_of(self).get("vcpus") or 1)

    @property
    def holds_capacity(self) -> bool:
        return self._own_status in ("STARTING", "RUNNING")

    # --- ends that are ordered from outside -----------------------------------------------------------------------

    def order_end(self, status_reason: str, *, final: bool) -> None:
        """End the job: at once when it waits, by SIGTERM and then SIGKILL when its container runs."""
        for child in self._child_jobs or ():
            child.order_end(status_reason, final=final)
        with self._lock:
            if self._own_status in ENDED or self._ordered_end is not None:
                return
            self._ordered_end = AttemptEnd(exit_code=None, reason=None, status_reason=status_reason, final=final)
            running = self._running
        self._ordered.set()
        if running is not None:
            stopper = threading.Thread(target=running.stop, args=(self.stage.stop_grace_s,), daemon=True)
            stopper.start()

    def terminate(self, reason: str) -> None:
        self.order_end(reason, final=True)

    def cancel(self, reason: str) -> None:
        """End the job before it starts; one that waits for others ends after them."""
        self._is_cancelled = True
        self.order_end(reason, final=True)

    @property
    def is_ordered_to_end(self) -> bool:
        return self._ordered.is_set()

    # --- the life of the job --------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._finish(self._live())
        except Exception as err:
            _log.exception("job %s", self.job_id)
            self._finish(
                AttemptEnd(exit_code=None, reason=None, status_reason=f"the emulator failed: {err}", final=True)
            )

    def _live(self) -> AttemptEnd:
        self._own_status = "PENDING"
        if ended := self._await_dependencies():
            return ended
        while True:
            self._own_status = "RUNNABLE"
            if ended := self._await_capacity():
                return ended
            end = self._attempt()
            if not is_retried(self.retry_strategy, len(self.attempts), end):
                return end
            self._ordered.clear()
            self._ordered_end = None

    def _await_dependencies(self) -> AttemptEnd | None:
        waiting = [item["jobId"] for item in self.depends_on or () if "jobId" in item]
        while waiting:
            states = {job_id: self.all_jobs[job_id].status for job_id in waiting if job_id in self.all_jobs}
            if "FAILED" in states.values():
                return AttemptEnd(exit_code=None, reason=None, status_reason="Dependent Job failed", final=True)
            waiting = [job_id for job_id in states if states[job_id] != "SUCCEEDED"]
            if not waiting:
                break
            if self._is_cancelled:
                time.sleep(_LOOK_AGAIN_S)
            elif self._ordered.wait(_LOOK_AGAIN_S) and not self._is_cancelled:
                return self._ordered_end
        return None

    def _await_capacity(self) -> AttemptEnd | None:
        while True:
            if self._ordered.is_set():
                return self._ordered_end
            place, self.job_stopped_reason = self.backend.place(self)
            if place is not None:
                self.host, self.job_stopped_reason = place, None
                return None
            self._ordered.wait(_LOOK_AGAIN_S)

    def _attempt(self) -> AttemptEnd:
        self._own_status = "STARTING"
        record: dict[str, Any] = {
            "container": {
                "containerInstanceArn": self.host.container_instance_arn,
                "taskArn": self.host.task_arn(f"{self.job_id}-{len(self.attempts) + 1}"),
                "networkInterfaces": [],
            }
        }
        self.latest_attempt = record
        self.attempts.append(record)
        end = self._run_container(record)
        if self._ordered_end is not None:
            end = AttemptEnd(
                exit_code=end.exit_code,
                reason=end.reason,
                status_reason=self._ordered_end.status_reason,
                final=self._ordered_end.final,
            )
        for name, value in (("exitCode", end.exit_code), ("reason", end.reason)):
            if value is not None:
                record["container"][name] = value
        record.update(statusReason=end.status_reason, stoppedAt=_now_ms())
        record.setdefault("startedAt", record["stoppedAt"])
        return end

    def _run_container(self, record: dict[str, Any]) -> AttemptEnd:
        try:
            running = self._start()
        except (containers.CannotPull, containers.CannotStart) as err:
            return AttemptEnd(exit_code=None, reason=str(err), status_reason="Task failed to start")
        except MissingHostPath as err:
            reason = (
                "CannotStartContainerError: Error response from daemon: invalid mount config for type "
                f'"bind": bind source path does not exist: {err} (AMI {self.host.ami_id})'
            )
            return AttemptEnd(exit_code=None, reason=reason, status_reason="Task failed to start")
        except SecretUnavailable as err:
            reason = f"ResourceInitializationError: unable to pull secrets or registry auth: {err}"
            return AttemptEnd(exit_code=None, reason=reason, status_reason="Task failed to start")
        record["startedAt"] = self.started_ms = _now_ms()
        self._open_log(record)
        with self._lock:
            self._running, ordered = running, self._ordered_end is not None
        self._own_status = "RUNNING"
        if ordered:
            running.stop(self.stage.stop_grace_s)
        timer = self._timer()
        try:
            ended = running.wait()
        finally:
            timer.cancel()
            with self._lock:
                self._running = None
            running.remove()
        return AttemptEnd(
            exit_code=ended.exit_code, reason=ended.reason, status_reason="Essential container in task exited"
        )

    def _start(self) -> containers.Running:
        spec = container_spec(self)
        if self.stage.no_jobs:
            home = self.host.disk / "processes" / spec.name
            return processes.start(spec, self._line, why=self.stage.no_jobs, home=home)
        return containers.start(spec, requirements_of(self), self._line)

    def _timer(self) -> threading.Timer:
        limit_s = self._get_attempt_duration()
        timer = threading.Timer(
            float(limit_s or threading.TIMEOUT_MAX),
            lambda: self.order_end("Job attempt duration exceeded timeout", final=True),
        )
        timer.daemon = True
        if limit_s:
            timer.start()
        return timer

    def _finish(self, end: AttemptEnd) -> None:
        self.end, self.exit_code = end, end.exit_code
        self.job_stopped, self.job_stopped_reason = True, end.status_reason
        self.stopped_ms = _now_ms()
        # Last, because whoever sees the state expects the rest to be there.
        self._own_status = "SUCCEEDED" if end.succeeded else "FAILED"

    # --- log ------------------------------------------------------------------------------------------------------

    def _open_log(self, record: dict[str, Any]) -> None:
        task = record["container"]["taskArn"].rpartition("/")[2]
        record["container"]["logStreamName"] = self._stream_of(task)

    def _log_options(self) -> dict[str, str]:
        configuration = (self.job_definition.container_properties or {}).get("logConfiguration") or {}
        options: dict[str, str] = configuration.get("options") or {}
        return options

    @property
    def _group(self) -> str:
        return self._log_options().get("awslogs-group", LOG_GROUP)

    def _stream_of(self, task: str) -> str:
        prefix = self._log_options().get("awslogs-stream-prefix", self.job_definition.name)
        stream = f"{prefix}/default/{task}"
        self._log_backend.ensure_log_group(self._group)
        self._log_backend.ensure_log_stream(self._group, stream)
        self.log_stream_name = stream
        return stream

    def _line(self, text: str) -> None:
        task = self.attempts[-1]["container"]["taskArn"].rpartition("/")[2]
        # CloudWatch refuses an empty message.
        event = {"timestamp": _now_ms(), "message": text or " "}
        self._log_backend.put_log_events(self._group, self._stream_of(task), [event])

    # --- what DescribeJobs and ListJobs say ------------------------------------------------------------------------

    def describe_short(self) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "jobArn": self.arn,
            "jobId": self.job_id,
            "jobName": self.job_name,
            "createdAt": self.created_ms,
            "status": self.status,
            "jobDefinition": self.job_definition.arn,
            "statusReason": self._status_reason(),
            "startedAt": self.started_ms,
            "stoppedAt": self.stopped_ms,
        }
        if self.end is not None and self.attempts:
            summary["container"] = {"exitCode": self.end.exit_code, "reason": self.end.reason}
            summary["container"] = {name: value for name, value in summary["container"].items() if value is not None}
        if self._child_jobs:
            summary["arrayProperties"] = {"size": len(self._child_jobs)}
        elif "index" in self.array_properties:
            summary["arrayProperties"] = {"index": self.array_properties["index"]}
        return {name: value for name, value in summary.items() if value is not None}

    def describe(self) -> dict[str, Any]:
        detail = self.describe_short()
        properties = properties_of(self)
        container = {
            **{name: value for name, value in properties.items() if value is not None},
            **((self.latest_attempt or {}).get("container") or {}),
        }
        detail.update(
            jobQueue=self.job_queue.arn,
            dependsOn=self.depends_on or [],
            parameters=self.parameters,
            tags=self.backend.list_tags_for_resource(self.arn),
            retryStrategy=self.retry_strategy,
            attempts=self.attempts,
            platformCapabilities=self.job_definition.platform_capabilities or ["EC2"],
            propagateTags=bool(self.job_definition.propagate_tags),
            isTerminated=bool(self.end and self.end.final and not self._is_cancelled),
            isCancelled=self._is_cancelled,
            container=container,
        )
        if limit_s := self._get_attempt_duration():
            detail["timeout"] = {"attemptDurationSeconds": limit_s}
        if self._child_jobs:
            states = [child.status for child in self._child_jobs]
            detail["arrayProperties"] = {
                "size": len(states),
                "statusSummary": {
                    name: states.count(name) for name in (*BEFORE_STARTING, "STARTING", "RUNNING", *ENDED)
                },
            }
        return detail

    def _status_reason(self) -> str | None:
        if self._child_jobs and self.status == "FAILED":
            return "Array Child Job failed"
        reason: str | None = self.job_stopped_reason
        return reason


def _now_ms() -> int:
    return int(time.time() * 1000)
