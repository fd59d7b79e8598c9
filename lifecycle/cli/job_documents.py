"""The JSON documents about jobs, as in `lifecycle.cli.documents`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.cli.documents import Document, utc

if TYPE_CHECKING:
    from lifecycle.domain.job import JobRecord
    from lifecycle.ports.jobs import LogLine
    from lifecycle.workflows.jobs import JobView
    from lifecycle.workflows.move_jobs import Moved


def job(record: JobRecord) -> Document:
    """A job as Batch describes it: `reason` is the container's, `status_reason` the queue's.

    `replaces` is the id of the job in whose place `capctl job move` submitted it, `null` for most.
    """
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "exit_code": record.exit_code,
        "reason": record.reason,
        "status_reason": record.status_reason,
        "queue_arn": record.queue_arn,
        "definition_arn": record.definition_arn,
        "image": record.image,
        "log_group": record.log_group,
        "log_stream": record.log_stream,
        "cluster_instance_arn": record.cluster_instance_arn,
        "attempts": record.attempts,
        "attempt_reasons": list(record.attempt_reasons),
        "ending": record.is_ending,
        "replaces": record.replaces or None,
        "created": moment(record.created_ms),
        "started": moment(record.started_ms),
        "stopped": moment(record.stopped_ms),
    }


def job_view(view: JobView) -> Document:
    """A job, and in words where it is, why and what to do; `release_id` is null for a job that no release of the target runs.

    `said` is the last error that the job wrote, null for one that did not fail by itself, or wrote nothing.
    `moved_to` is null for a job that was not moved; its `job_id` is null where nothing is known of the one in its place.
    """
    account, moved = view.account, view.moved
    return {
        **job(view.job),
        "release_id": view.release_id,
        "where": account.where,
        "why": account.why,
        "said": view.said or None,
        "next": account.next,
        "moved_to": {"release_id": moved.release_id, "job_id": moved.job_id or None} if moved else None,
    }


def job_cancellation(record: JobRecord, *, changed: bool) -> Document:
    """A job after it was cancelled; `changed` is false for one that had ended."""
    return {**job(record), "changed": changed}


def job_move(release_id: str, moved: Moved) -> Document:
    """What a move did with the jobs that waited on a release, which `to` takes now. `moved` has their ids and those in their place.

    `started` had got a host meanwhile; `staying` cannot be moved, and `why` says it.
    """
    return {
        "release_id": release_id,
        "to": moved.to,
        "changed": bool(moved.pairs),
        "moved": [{"id": job.id, "name": job.name, "job_id": new_id} for job, new_id in moved.pairs],
        "started": [{"id": job.id, "name": job.name} for job in moved.started],
        "staying": [{"id": one.job.id, "name": one.job.name, "why": one.why} for one in moved.staying],
    }


def job_list(records: Iterable[JobRecord]) -> Document:
    """Jobs of the active release, newest first, each as `capctl.job/1`."""
    return {"jobs": [job(record) for record in records]}


def job_log(record: JobRecord, lines: Iterable[LogLine]) -> Document:
    """What a job wrote, oldest first, and where the job is."""
    return {
        "job_id": record.id,
        "state": record.state,
        "exit_code": record.exit_code,
        "lines": [{"at": moment(line.at_ms), "message": line.message} for line in lines],
    }


def moment(at_ms: int) -> str | None:
    """A time as every document has it, to the millisecond; None for 0."""
    return utc(datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")) if at_ms else None
