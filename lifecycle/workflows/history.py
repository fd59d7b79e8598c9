"""What was deployed when, and what became of it."""

from dataclasses import dataclass
from datetime import timedelta

from lifecycle.domain.deployment import Deployment, recorded_release
from lifecycle.domain.moments import told_moment
from lifecycle.domain.permissions import READ_DEPLOYMENTS
from lifecycle.domain.release import Move, Pointer
from lifecycle.ports import Ports

PERMISSIONS = {"history": READ_DEPLOYMENTS}

# How often an event moves the pointer, at most.
_MOVES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A deployment or a move of the pointer. `at` is ISO 8601 in UTC, `seconds` None where it has not ended or took no time to speak of.

    `number` is the deployment's, None for a move. `what` is `deploy` or `rollback`; `outcome` as in `Standing.outcome_of`, of
    a rollback always `promoted`; `stage` where a deployment ended. `why` is the reason that was given, or what ended it. `ami_id` and
    `image` are those of the release, each "" where no record that this version of capctl can read says it.
    """

    at: str
    what: str
    number: int | None
    release_id: str
    replaces: str
    outcome: str
    stage: str
    by: str
    why: str
    error: str
    seconds: float | None
    ami_id: str
    image: str


def read_history(ports: Ports, *, count: int) -> tuple[Event, ...]:
    """The last events, newest first, in at most six calls to AWS."""
    standing = ports.deployments.standing(count)
    pointer = ports.pointers.read()
    # Between two rollbacks may be a deployment, which moves the pointer there and back.
    versions = range(pointer.version, max(pointer.version - _MOVES * count, 0), -1) if pointer else ()
    moves = [move for move in ports.pointers.past(versions) if move.move == Move.ROLLBACK]
    images = {one.release_id: _image(one) for one in standing.recent}
    events = [
        *(_deployed(one, standing.outcome_of(one)) for one in standing.recent),
        *(_rolled_back(move, images.get(move.release_id, "")) for move in moves),
    ]
    return tuple(sorted(events, key=lambda event: event.at, reverse=True)[:count])


def _deployed(deployment: Deployment, outcome: str) -> Event:
    begun = deployment.stages[0][1] if deployment.stages else deployment.holder.since
    release = recorded_release(deployment.record)
    return Event(
        at=begun,
        what="deploy",
        number=deployment.number,
        release_id=deployment.release_id,
        replaces=deployment.replaces,
        outcome=outcome,
        stage=deployment.stage or "",
        by=deployment.holder.who,
        why=deployment.why or deployment.reason,
        error=deployment.error,
        seconds=_between(begun, deployment.ended_at),
        ami_id=release.ami_id if release else "",
        image=_image(deployment),
    )


def _image(deployment: Deployment) -> str:
    release = recorded_release(deployment.record)
    return str(release.image) if release else ""


def _rolled_back(move: Pointer, image: str) -> Event:
    return Event(
        at=move.moved_at,
        what="rollback",
        number=None,
        release_id=move.release_id,
        replaces=move.previous_release_id,
        outcome="promoted",
        stage="",
        by=move.moved_by,
        why=move.reason,
        error="",
        seconds=None,
        ami_id=move.ami_id,
        image=image,
    )


def _between(begun: str, ended: str) -> float | None:
    first, last = told_moment(begun), told_moment(ended)
    return (last - first) / timedelta(seconds=1) if first and last else None
