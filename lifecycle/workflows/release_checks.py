"""What must hold before a release is made beside those that there are."""

from collections.abc import Collection

from lifecycle.config.target import Target
from lifecycle.domain.compute import name_of
from lifecycle.domain.release import DeployedRelease, Pointer, Release, needed_ids
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.stack import Operation, ResourceChange

# Batch allows 50 compute environments in a region; two are left for a person in a hurry.
_ENVIRONMENT_LIMIT = 48


def require_room(ports: Ports, target: Target, release: Release) -> None:
    """Refuse to make one more compute environment than there may be; one that an earlier run made is no more."""
    existing = ports.jobs.compute_environments()
    if name_of(release.id, target.project) not in existing and len(existing) >= _ENVIRONMENT_LIMIT:
        raise CapctlError(
            "quota-reached",
            f"Account {target.account} has {len(existing)} compute environments in {target.region}, Batch allows 50",
            hint="Delete compute environments that nobody uses; capctl keeps `stack.keep_releases` of its own",
        )


def require_undamaged(
    ports: Ports, release: Release, existing: tuple[DeployedRelease, ...], pointer: Pointer | None
) -> None:
    """Refuse to go on while a release that the pointer needs lacks a part, unless `release` is one of them: that is the way to mend it.

    The release before the active one may be gone altogether, then there is nothing of it to lose.
    """
    missing = needed_ids(pointer) - {deployed.id for deployed in existing}
    if not pointer or not missing or release.id in needed_ids(pointer):
        return
    left = ports.stack.half_made()
    if pointer.release_id in missing:
        damaged, role, way = (
            pointer.release_id,
            "takes jobs",
            "let another one take jobs with `capctl rollback --to …` (`capctl status` lists those that are whole)",
        )
    elif missing & left:
        damaged, role, way = (
            pointer.previous_release_id,
            "took jobs before",
            "remove with Pulumi what is left of it once it has no jobs",
        )
    else:
        return
    raise CapctlError(
        "release-damaged",
        f"Release `{damaged}` {role} and {'lacks a part' if damaged in left else 'is missing'} in Pulumi's state",
        hint=f"Deploy its AMI and image with the `release` section that it was made with, which finishes it, or {way}",
    )


def require_only_creates(changes: tuple[ResourceChange, ...], release: Release, protected: Collection[str]) -> None:
    """Refuse a preview that touches a `protected` release; deleting what a killed run left half made of others is right.

    A part of `release` itself that never came to life may be updated, which is how the engine tries it again.
    """
    touched = [
        change
        for change in changes
        if change.operation not in {Operation.CREATE, Operation.SAME}
        and change.release_id in protected
        and not (change.release_id == release.id and change.operation is Operation.UPDATE)
    ]
    if touched:
        raise CapctlError(
            "release-would-change",
            f"Creating release `{release.id}` would {touched[0].operation} `{touched[0].name}`, and releases never change",
            hint="Nothing was changed; compare Pulumi's state with what AWS holds, the lines above name the resources",
            details=tuple(change.line for change in touched),
        )
