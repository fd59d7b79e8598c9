"""A Batch job: its states, attempts and container. moto's own job ignores most of what a job definition says."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from moto.batch.models import Job
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from lifecycle.rehearsal.emulator import containers
from lifecycle.rehearsal.emulator.host_paths import MissingHostPath, bind_source
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
        self._ordered_end: AttemptEnd | None = None
        self._running: containers.RunningContainer | None = None
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
        return float(self._requirements().get("VCPU") or self._properties().get("vcpus") or 1)

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

    # --- the life of the job --------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._finish(self._live())
        except Exception as err:
            _log.exception("job %s", self.job_id)
            self._finish(AttemptEnd(exit_code=None, reason=None, status_reason=f"the emulator failed: {err}", final=True))

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
            if waiting and self._ordered.wait(_LOOK_AGAIN_S):
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
        if self.stage.no_jobs:
            return AttemptEnd(exit_code=None, reason=None, status_reason=self.stage.no_jobs, final=True)
        try:
            running = containers.start(self._spec(), self._requirements(), self._line)
        except (containers.CannotPull, containers.CannotStart) as err:
            return AttemptEnd(exit_code=None, reason=str(err), status_reason="Task failed to start")
        except MissingHostPath as err:
            reason = (
                "CannotStartContainerError: Error response from daemon: invalid mount config for type "
                f'"bind": bind source path does not exist: {err} (AMI {self.host.ami_id})'
            )
            return AttemptEnd(exit_code=None, reason=reason, status_reason="Task failed to start")
        except _SecretUnavailable as err:
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

    # --- what the container gets ----------------------------------------------------------------------------------

    def _spec(self) -> containers.ContainerSpec:
        properties = self._properties()
        name = containers.local_name(properties["image"], self.stage.registry)
        volumes = {volume["name"]: volume.get("host") or {} for volume in properties.get("volumes") or ()}
        return containers.ContainerSpec(
            name=f"{self.job_name}-{self.job_id.replace(':', '-')}-{len(self.attempts)}",
            image=name,
            # A tag may have moved since the engine saw it; a digest cannot.
            always_pull=name != properties["image"] and "@" not in name,
            command=self._add_parameters_to_command(properties.get("command") or []),
            environment=self._environment(),
            mounts=[
                containers.Mount(
                    source=self._mount_source(mount["sourceVolume"], volumes, read_only=bool(mount.get("readOnly"))),
                    target=mount["containerPath"],
                    read_only=bool(mount.get("readOnly")),
                )
                for mount in properties.get("mountPoints") or ()
            ],
            properties=properties,
            rehearsal=self.stage.rehearsal,
        )

    def _mount_source(self, volume: str, volumes: Mapping[str, Mapping[str, Any]], *, read_only: bool) -> str:
        path = volumes.get(volume, {}).get("sourcePath")
        if not path:
            empty = self.host.disk / "volumes" / self.job_id / volume
            empty.mkdir(parents=True, exist_ok=True)
            return str(empty)
        chain = self.stage.layers.chain(self.host.ami_id)
        with self.host.lock:
            return str(bind_source(chain, path, read_only=read_only, scratch=self.host.disk / "root"))

    def _environment(self) -> dict[str, str]:
        region = self.backend.region_name
        given = {entry["name"]: entry["value"] for entry in self._properties().get("environment") or ()}
        secrets = {
            secret["name"]: self._secret(secret["valueFrom"]) for secret in self._properties().get("secrets") or ()
        }
        of_batch = {
            "AWS_BATCH_JOB_ID": self.job_id,
            "AWS_BATCH_JQ_NAME": self.job_queue.name,
            "AWS_BATCH_CE_NAME": self.host.environment_name,
            "AWS_BATCH_JOB_ATTEMPT": str(len(self.attempts)),
        }
        if "index" in self.array_properties:
            of_batch["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.array_properties["index"])
        # The job role's credentials, the region and the way to AWS, which on AWS come from the metadata services.
        of_place = {
            "AWS_ENDPOINT_URL": self.stage.endpoint,
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_ACCESS_KEY_ID": "rehearsal",
            "AWS_SECRET_ACCESS_KEY": "rehearsal",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CAPCTL_REHEARSAL": self.stage.rehearsal,
        }
        return of_place | given | secrets | of_batch

    def _secret(self, value_from: str) -> str:
        account, region = self.backend.account_id, self.backend.region_name
        try:
            if ":secretsmanager:" in value_from:
                found = secretsmanager_backends[account][region].get_secret_value(value_from, "", "")
                return str(found["SecretString"])
            parameter = ssm_backends[account][region].get_parameter(value_from.rpartition(":parameter")[2] or value_from)
            return str(parameter.response_object(decrypt=True, region=region)["Value"])
        except Exception as err:
            message = f"{value_from}: {err}"
            raise _SecretUnavailable(message) from err

    def _properties(self) -> dict[str, Any]:
        """containerProperties with the overrides of SubmitJob applied."""
        base = dict(self.job_definition.container_properties or {})
        overrides = dict(self.container_overrides)
        environment = {entry["name"]: entry["value"] for entry in base.get("environment") or ()}
        environment |= {entry["name"]: entry.get("value", "") for entry in overrides.pop("environment", None) or ()}
        base["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
        required = {entry["type"]: entry for entry in base.get("resourceRequirements") or ()}
        required |= {entry["type"]: entry for entry in overrides.pop("resourceRequirements", None) or ()}
        base["resourceRequirements"] = list(required.values())
        return base | {name: value for name, value in overrides.items() if value}

    def _requirements(self) -> dict[str, str]:
        return {entry["type"]: entry["value"] for entry in self._properties()["resourceRequirements"]}

    # --- log ------------------------------------------------------------------------------------------------------

    def _open_log(self, record: dict[str, Any]) -> None:
        task = record["container"]["taskArn"].rpartition("/")[2]
        record["container"]["logStreamName"] = self._stream_of(task)

    def _stream_of(self, task: str) -> str:
        stream = f"{self.job_definition.name}/default/{task}"
        self._log_backend.ensure_log_group(LOG_GROUP)
        self._log_backend.ensure_log_stream(LOG_GROUP, stream)
        self.log_stream_name = stream
        return stream

    def _line(self, text: str) -> None:
        task = self.attempts[-1]["container"]["taskArn"].rpartition("/")[2]
        # CloudWatch refuses an empty message.
        event = {"timestamp": _now_ms(), "message": text or " "}
        self._log_backend.put_log_events(LOG_GROUP, self._stream_of(task), [event])

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
        properties = self._properties()
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
            isTerminated=bool(self.end and self.end.final),
            container=container,
        )
        if limit_s := self._get_attempt_duration():
            detail["timeout"] = {"attemptDurationSeconds": limit_s}
        if self._child_jobs:
            states = [child.status for child in self._child_jobs]
            detail["arrayProperties"] = {
                "size": len(states),
                "statusSummary": {name: states.count(name) for name in (*BEFORE_STARTING, "STARTING", "RUNNING", *ENDED)},
            }
        return detail

    def _status_reason(self) -> str | None:
        if self._child_jobs and self.status == "FAILED":
            return "Array Child Job failed"
        return self.job_stopped_reason


class _SecretUnavailable(Exception):
    """A secret that the job definition names cannot be read."""


def _now_ms() -> int:
    return int(time.time() * 1000)
