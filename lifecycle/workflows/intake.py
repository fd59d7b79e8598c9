"""Whether the release that a queue is of takes jobs."""

from lifecycle.domain.intake import Intake, intake_of
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports


def read_intake(ports: Ports, queue_arn: str) -> Intake:
    """What Batch says of the queue and of its compute environment, in two calls."""
    return intake_of(queue_arn, ports.compute.queues(), ports.compute.environments())


def require_open(release_id: str, intake: Intake) -> None:
    """Raise `CapctlError("release-closed")` unless the active release takes jobs.

    A switch may have been set on purpose, so nothing here sets it back.
    """
    if not intake.takes_jobs:
        raise CapctlError(
            "release-closed",
            f"Release `{release_id}` is active, and takes no jobs: {intake.obstacle}",
            hint="`capctl drift` says what to do; `capctl rollback` lets the release before it take jobs meanwhile",
        )
