"""Which jobs a queue has: ListJobs is asked for what is wanted, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from lifecycle.adapters.aws.scanning import pages
from lifecycle.domain.job import KNOWN_STATES, JobState
from lifecycle.domain.job_counts import COUNTED

# What ListJobs gives at once; by a filter, of which it takes one, newest first and whatever their state.
_BY_FILTER, _BY_STATE = 100, 1000
_SINCE = "AFTER_CREATED_AT"


def summaries(
    batch: Any, queue_arn: str, *, states: Collection[JobState], since_ms: int | None, named: str
) -> Iterator[dict[str, Any]]:
    """What ListJobs says of the jobs of `ports.Jobs.list`, in no order; of one whose state changes meanwhile perhaps twice."""
    if since_ms is not None:
        # Whether a job of that very millisecond is after it AWS does not say.
        found = _filtered(batch, queue_arn, _SINCE, str(max(since_ms - 1, 0)))
    elif named:
        found = _filtered(batch, queue_arn, "JOB_NAME", f"{named}*")
    else:
        found = _by_state(batch, queue_arn, states or KNOWN_STATES)
    for job in found:
        # Batch compares names without regard to case.
        is_named, is_young = job["jobName"].startswith(named), (job.get("createdAt") or 0) >= (since_ms or 0)
        if is_named and is_young and (not states or JobState(job["status"]) in states):
            yield job


def newest_page(batch: Any, queue_arn: str, definition_arn: str) -> tuple[list[dict[str, Any]], bool]:
    """What ListJobs says of the newest jobs, of one revision or, for "", of any, in whatever state; and whether these are all."""
    asked = ("JOB_DEFINITION", definition_arn) if definition_arn else (_SINCE, "0")
    page = batch.list_jobs(jobQueue=queue_arn, filters=[_filter(*asked)], maxResults=COUNTED)
    return page["jobSummaryList"], not page.get("nextToken")


def _filtered(batch: Any, queue_arn: str, name: str, value: str) -> Iterator[dict[str, Any]]:
    for page in pages(batch, "list_jobs", size=_BY_FILTER, jobQueue=queue_arn, filters=[_filter(name, value)]):
        yield from page["jobSummaryList"]


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "values": [value]}


def _by_state(batch: Any, queue_arn: str, states: Collection[JobState]) -> Iterator[dict[str, Any]]:
    """State by state in the order in which jobs go through them, so that none slips by while the next one is asked for."""
    order = [state for state in KNOWN_STATES if state in states]
    if JobState.RUNNABLE in states and {JobState.STARTING, JobState.RUNNING} & {*states}:
        # Unless its attempt fails meanwhile, which brings it back.
        last = sum(not state.is_final for state in order)
        order.insert(last, JobState.RUNNABLE)
    for state in order:
        for page in pages(batch, "list_jobs", size=_BY_STATE, jobQueue=queue_arn, jobStatus=state.value):
            yield from page["jobSummaryList"]
