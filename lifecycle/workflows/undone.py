"""What somebody decided that a deploy would undo."""

from collections.abc import Iterator

from lifecycle.domain.deployment import Deployment, Outcome
from lifecycle.domain.release import Pointer, move_back_from, was_left
from lifecycle.ports import Ports

# As many versions of the pointer as DynamoDB gives at once.
_LOOKED_AT = 100


def undone_by(ports: Ports, release_id: str, pointer: Pointer | None, last: Deployment | None) -> Iterator[str]:
    """That somebody rolled back from the release, or overtook its last deployment: who, when and why."""
    if pointer and was_left(pointer, release_id):
        versions = range(pointer.version, max(pointer.version - _LOOKED_AT, 0), -1)
        found = move_back_from(release_id, ports.pointers.past(versions))
        by = found.told if found else "somebody rolled back from it"
        yield f"release {release_id} took jobs until {by}; this deploy undoes that"
    elif last and last.outcome is Outcome.OVERTAKEN and last.release_id == release_id:
        yield f"{last.told}: {last.why}; this deploy undoes that"
