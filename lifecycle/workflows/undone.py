"""What was decided, by somebody or by a smoke job, and a deploy goes over."""

from collections.abc import Iterator, Sequence

from lifecycle.domain.deployment import Deployment, Outcome, refusal_of
from lifecycle.domain.release import Pointer, Release, move_back_from, was_left
from lifecycle.ports import Ports

# As many versions of the pointer as DynamoDB gives at once.
_LOOKED_AT = 100


def undone_by(ports: Ports, release: Release, pointer: Pointer | None, recent: Sequence[Deployment]) -> Iterator[str]:
    """That somebody rolled back from the release, or overtook its last deployment, or that its AMI and image were refused: who, when and
    why. `recent` are the last deployments, newest first."""
    release_id, last = release.id, next(iter(recent), None)
    if pointer and was_left(pointer, release_id):
        versions = range(pointer.version, max(pointer.version - _LOOKED_AT, 0), -1)
        found = move_back_from(release_id, ports.pointers.past(versions))
        by = found.told if found else "somebody rolled back from it"
        yield f"release {release_id} took jobs until {by}; this deploy undoes that"
    elif last and last.outcome is Outcome.OVERTAKEN and last.release_id == release_id:
        yield f"{last.told}: {last.why}; this deploy undoes that"
    elif refused := refusal_of(release, recent):
        ended = f" ({refused.ended_at})" if refused.ended_at else ""
        why = f": {refused.why}" if refused.why else ""
        yield f"this AMI and this image were refused: {refused.told}{ended}{why}; this deploy tries them again"
