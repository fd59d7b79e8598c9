"""The smoke jobs of a release, among whatever else its queue has."""

from collections.abc import Collection

from lifecycle.domain.job import JobRecord, JobState, Purpose
from lifecycle.ports import Ports
from lifecycle.workflows.smoke_baseline import session_beginning


def smoke_jobs(
    ports: Ports, queue_arn: str, release_id: str, *, states: Collection[JobState] = ()
) -> tuple[JobRecord, ...]:
    """Those in `states`, without any in every one, newest first: found by their name, known by their tag."""
    found = ports.jobs.list(queue_arn, states=states, named=session_beginning(release_id))
    return tuple(job for job in found if job.purpose is Purpose.SMOKE)
