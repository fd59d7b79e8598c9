"""Documents about what is deployed, and whether it is still what was deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cli.documents import Document, pointer_fields, utc

if TYPE_CHECKING:
    from lifecycle.domain.compute import EnvironmentRecord, QueueRecord
    from lifecycle.domain.deployment import Deployment, Holder
    from lifecycle.domain.difference import Difference
    from lifecycle.domain.job_counts import JobCounts
    from lifecycle.ports.journal import JournalEntry
    from lifecycle.workflows.drift import Drift
    from lifecycle.workflows.status import ReleaseStatus, Status


def status(found: Status) -> Document:
    """The pointer, or `null` before the first promotion; the releases, oldest first; the last changes made from this machine.

    `role` is `active`, `previous`, `candidate` (made and never promoted) or "". `image_tag` is `null` where ECR does not tell of one.
    `queue.state` is the worse one of the queue's and its compute environment's; a disabled one takes no jobs, whatever its state.
    `jobs` is `null` without a queue; ended jobs are those that Batch still has, and `counted` is of how many the numbers are: where
    they are not `complete`, there are more, and the numbers are of the newest.

    `deployment` is the last one from any machine, `null` before the first; `outcome` is as in `capctl history`, `stage` where it is or
    ended, since `stage_since`; `why` says what ended it, and `next` what is to be done about it, "" where nothing is. `turn` tells who
    changes something now, `null` where nobody does.
    """
    return {
        "pointer": dict(pointer_fields(found.pointer)) if found.pointer else None,
        "deployment": _deployment(found, found.standing.last) if found.standing.last else None,
        "turn": _turn(found.standing.holder) if found.standing.holder else None,
        "releases": [_release(release) for release in found.releases],
        "journal": [_entry(entry) for entry in found.journal],
    }


def drift(found: Drift) -> Document:
    """In what the world differs from what was deployed, the worst first; `drifted` says whether any of it is a fault.

    `severity` is `fault`, `unread` for what could not be looked at, or `notice` for what is no fault. `code` is the kind of difference,
    `release_id` is "" for what concerns no single release. `complete` says whether everything could be looked at.
    """
    return {
        "drifted": bool(found.faults),
        "complete": not found.unread,
        "releases": len(found.release_ids),
        "differences": [_difference(each) for each in found.differences],
    }


def _difference(each: Difference) -> dict[str, Any]:
    return {
        "severity": each.severity,
        "code": each.code,
        "release_id": each.release_id,
        "what": each.what,
        "expected": each.expected,
        "found": each.found,
        "next": each.next,
    }


def _deployment(found: Status, last: Deployment) -> dict[str, Any]:
    return {
        "number": last.number,
        "release_id": last.release_id,
        "by": last.holder.who,
        "outcome": found.standing.outcome_of(last),
        "stage": last.stage,
        "stage_since": utc(last.stages[-1][1]) if last.stages else None,
        "error": last.error,
        "why": last.why,
        "next": found.next,
    }


def _turn(holder: Holder) -> dict[str, Any]:
    return {
        "by": holder.who,
        "pid": holder.pid,
        "command": holder.command,
        "run_id": holder.run_id,
        "since": utc(holder.since),
    }


def _release(found: ReleaseStatus) -> dict[str, Any]:
    release = found.deployed
    return {
        "id": release.id,
        "role": found.role,
        "created": utc(found.recorded.created) or None,
        "ami": release.ami_id,
        "image": str(release.image),
        "image_tag": found.image_tag or None,
        "model_set": release.model_set,
        "queue": {
            "arn": release.job_queue_arn,
            "state": found.state,
            "reason": found.reason,
            "enabled": _is_enabled(found.queue),
        },
        "compute_environment": {
            "state": found.environment.state if found.environment else "MISSING",
            "reason": found.environment.reason if found.environment else "",
            "enabled": _is_enabled(found.environment),
        },
        "compute_environment_arn": release.compute_environment_arn,
        "job_definition_arn": release.job_definition_arn,
        "jobs": _jobs(found.jobs) if found.jobs else None,
    }


def _is_enabled(part: QueueRecord | EnvironmentRecord | None) -> bool:
    return part is not None and part.is_enabled


def _jobs(counts: JobCounts) -> dict[str, Any]:
    return {
        "waiting": counts.waiting,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "counted": counts.total,
        "complete": counts.is_complete,
    }


def _entry(entry: JournalEntry) -> dict[str, Any]:
    return {
        "at": utc(entry.at),
        "run_id": entry.run_id,
        "user": entry.user,
        "command": entry.command,
        "step": entry.step,
        "outcome": entry.outcome,
        "why": entry.why,
    }
