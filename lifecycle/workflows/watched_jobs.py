"""The jobs that real work gave since a moment, however many, at the price of those that are new or have not ended."""

from lifecycle.domain.job import JobRecord, Purpose
from lifecycle.ports import Ports

# How long Batch may take to list a job that it has created.
_LISTED_WITHIN_MS = 60_000


class WatchedJobs:
    """Of one queue, from `since_ms` on by Batch's own clock; smoke jobs are none."""

    def __init__(self, ports: Ports, queue_arn: str, *, since_ms: int) -> None:
        self._jobs = ports.jobs
        self._queue_arn = queue_arn
        self._since_ms = since_ms
        self._seen: dict[str, JobRecord] = {}

    def look(self) -> list[JobRecord]:
        """All of them. One that has ended is not asked for again, but where it is listed among the youngest."""
        newest_ms = max((job.created_ms for job in self._seen.values()), default=0)
        listed = self._jobs.list(self._queue_arn, since_ms=max(self._since_ms, newest_ms - _LISTED_WITHIN_MS))
        self._remember(listed)
        young = {job.id for job in listed}
        self._remember(
            self._jobs.find([job.id for job in self._seen.values() if not job.state.is_final and job.id not in young])
        )
        return [job for job in self._seen.values() if job.purpose is Purpose.WORK]

    def _remember(self, jobs: tuple[JobRecord, ...]) -> None:
        self._seen |= {job.id: job for job in jobs}
