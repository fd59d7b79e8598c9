"""Whether a release takes jobs, by what Batch says of its queue and its compute environment."""

from collections.abc import Collection
from dataclasses import dataclass

from lifecycle.domain.compute import EnvironmentRecord, QueueRecord
from lifecycle.domain.job import QueueState

# An environment that is being updated goes on taking jobs.
_OPEN = {QueueState.VALID, QueueState.UPDATING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The job queue of a release and its compute environment; None where Batch has none."""

    queue: QueueRecord | None
    environment: EnvironmentRecord | None

    @property
    def state(self) -> QueueState:
        """The state of the queue or of its compute environment, whichever is worse."""
        return self._worse.state if self._worse else QueueState.MISSING

    @property
    def reason(self) -> str:
        """Why it is in that state, as far as Batch tells."""
        if self._worse:
            return self._worse.reason
        gone = "compute environment" if self.queue else "job queue"
        return f"the release has no {gone} in Batch"

    @property
    def is_disabled(self) -> bool:
        """Whether nothing but a switch keeps jobs from it."""
        parts = (self.queue, self.environment)
        return self.state in _OPEN and any(part is not None and not part.is_enabled for part in parts)

    @property
    def takes_jobs(self) -> bool:
        """Whether jobs that are submitted to it can start."""
        return self.state in _OPEN and not self.is_disabled

    @property
    def obstacle(self) -> str:
        """What keeps jobs from it, in one phrase; "" where nothing does."""
        if self.takes_jobs:
            return ""
        if self.is_disabled:
            is_closed = self.queue is not None and not self.queue.is_enabled
            return f"its {'job queue' if is_closed else 'compute environment'} is DISABLED"
        why = f": {self.reason}" if self.reason else ""
        return f"Batch says {self.state}{why}"

    @property
    def _worse(self) -> QueueRecord | EnvironmentRecord | None:
        if self.queue is None or self.environment is None:
            return None
        order = [*QueueState]
        return self.queue if order.index(self.queue.state) <= order.index(self.environment.state) else self.environment


def intake_of(queue_arn: str, queues: Collection[QueueRecord], environments: Collection[EnvironmentRecord]) -> Intake:
    """That of the release with this queue; jobs go to the first of the queue's environments."""
    queue = next((one for one in queues if one.arn == queue_arn), None)
    first = queue.environment_arns[:1] if queue else ()
    return Intake(queue=queue, environment=next((one for one in environments if one.arn in first), None))
