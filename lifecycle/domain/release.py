"""A release: the pair (AMI, image) and its parameters, immutable and named by its hash."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest, canonical_json, digest_of, short
from lifecycle.domain.image import ImageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Job and compute parameters of a release. Memory in MiB, times in seconds, volume in GiB.

    `database_secret_arn` is the secret that jobs have as DATABASE_URL, "" for none.
    """

    instance_types: tuple[str, ...]
    max_vcpus: int
    spot: bool
    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]
    volume_gib: int
    vcpus: int
    memory_mib: int
    gpus: int
    timeout_s: int
    attempts: int
    environment: dict[str, str] = field(default_factory=dict)
    database_secret_arn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What shall run together. Equal content gives an equal id.

    `runtime_mount` is where the image wants the runtime of the AMI, "" for an image that needs none.
    """

    ami_id: AmiId
    image: ImageRef
    model_set: Digest
    parameters: Parameters
    runtime_mount: str = ""

    @property
    def id(self) -> str:
        """12 hex digits."""
        return short(digest_of(canonical_json(self.record)))

    @property
    def record(self) -> dict[str, Any]:
        """All that makes it, for a document; what it does without is not in it, so that ids outlive what later releases may have."""
        record = {name: value for name, value in asdict(self).items() if name != "runtime_mount" or value}
        parameters = record["parameters"].items()
        return {
            **record,
            "parameters": {name: value for name, value in parameters if name != "database_secret_arn" or value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the jobs of the release `id` go, and the AMI of their hosts, "" where a record does not say."""

    id: str
    ami_id: AmiId
    job_queue_arn: str
    job_definition_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedRelease:
    """A release that exists. Its id is its name, whatever `Release.id` would make of the same content by now.

    `ami_id`, `image` and `model_set` are as it was recorded, and empty where the record does not say.
    """

    id: str
    ami_id: AmiId
    image: ImageRef
    model_set: Digest
    compute_environment_arn: str
    job_queue_arn: str
    job_definition_arn: str

    @property
    def place(self) -> Place:
        """Where its jobs go."""
        return Place(
            id=self.id,
            ami_id=self.ami_id,
            job_queue_arn=self.job_queue_arn,
            job_definition_arn=self.job_definition_arn,
        )


class Move(StrEnum):
    """Why the pointer moved: to a release that was deployed, back because a person asked, or back because the watch of a deploy failed."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    RESTORE = "restore"


# What to do where somebody else moved the pointer meanwhile.
LOOK_AGAIN = "Look at `capctl history` and `capctl status`, then decide again"

_TOLD: dict[str, str] = {
    Move.DEPLOY: "deployed",
    Move.ROLLBACK: "rolled back to",
    Move.RESTORE: "had a deploy taken back to",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which release takes new jobs; `version` grows by one with every move. `moved_at` is ISO 8601 in UTC.

    `promoted` are the ids of the releases that took jobs, those that are gone included, in the order in which they were last deployed;
    a rollback changes nothing in it. What has a default is empty where an earlier version of capctl moved the pointer, which did not say.
    """

    version: int
    release_id: str
    previous_release_id: str
    job_queue_arn: str
    job_definition_arn: str
    moved_at: str
    moved_by: str
    reason: str
    promoted: tuple[str, ...] = ()
    ami_id: str = ""
    previous_ami_id: str = ""
    previous_job_queue_arn: str = ""
    previous_job_definition_arn: str = ""
    move: str = ""
    run_id: str = ""

    def __str__(self) -> str:
        return f"version {self.version}"

    @property
    def told(self) -> str:
        """Who moved it where, when and why, in one phrase."""
        what = _TOLD.get(self.move, "pointed it at")
        why = f": {self.reason}" if self.reason else ""
        return f"{self.moved_by} {what} release {self.release_id} at {self.moved_at}{why}"

    @property
    def place(self) -> Place:
        """Where new jobs go."""
        return Place(
            id=self.release_id,
            ami_id=AmiId(self.ami_id),
            job_queue_arn=self.job_queue_arn,
            job_definition_arn=self.job_definition_arn,
        )

    @property
    def previous_place(self) -> Place | None:
        """Where jobs went before; None for a first release, and where an earlier version of capctl did not say."""
        if not self.previous_job_queue_arn:
            return None
        return Place(
            id=self.previous_release_id,
            ami_id=AmiId(self.previous_ami_id),
            job_queue_arn=self.previous_job_queue_arn,
            job_definition_arn=self.previous_job_definition_arn,
        )


def promoted_ids(releases: tuple[DeployedRelease, ...], pointer: Pointer | None) -> tuple[str, ...]:
    """The ids of those that took jobs, as in `Pointer.promoted`; what exists and is not among them was made and never promoted.

    Where the pointer does not say, any of `releases`, oldest first, may have.
    """
    if pointer is None:
        return ()
    return pointer.promoted or tuple(deployed.id for deployed in releases)


def surplus_releases(
    releases: tuple[DeployedRelease, ...], pointer: Pointer | None, *, keep: int, left: Collection[str] = ()
) -> tuple[DeployedRelease, ...]:
    """Which of `releases`, oldest first, are beyond `keep`; never one that the pointer needs. Those that were `left` go first."""
    needed = needed_ids(pointer)
    others = sorted(
        (deployed for deployed in releases if deployed.id not in needed), key=lambda deployed: deployed.id not in left
    )
    room = max(keep - (len(releases) - len(others)), 0)
    return tuple(others[: max(len(others) - room, 0)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """How many releases go once another takes jobs, and `among` which, oldest first."""

    count: int
    among: tuple[str, ...]

    def __str__(self) -> str:
        if not self.count:
            return "none"
        names = ", ".join(self.among)
        # Who was rolled back from only the past of the pointer tells, and that is read when they go.
        chosen = "" if self.count == len(self.among) else f"{self.count} of "
        order = " (those rolled back from first, then the oldest)" if chosen else ""
        return f"{chosen}{names}{order}, neither active then nor the one before; one with unfinished jobs stays"


def surplus_once_active(
    release_id: str, releases: tuple[DeployedRelease, ...], pointer: Pointer | None, *, keep: int, unfit: str = ""
) -> Surplus:
    """What `surplus_releases` will choose from when `release_id`, which may not exist yet, takes jobs; `unfit` as `previous_id_after`."""
    ids = [*(deployed.id for deployed in releases if deployed.id != release_id), release_id]
    needed = {release_id, previous_id_after(pointer, release_id, unfit)}
    among = tuple(one for one in ids if one not in needed)
    return Surplus(count=min(len(among), max(len(ids) - keep, 0)), among=among)


def previous_id_after(seen: Pointer | None, release_id: str, unfit: str = "") -> str:
    """The id of the release that a rollback leads to once the pointer has moved from `seen` to `release_id`; "" for none.

    One that is mended, as one that is `unfit`, is no way back.
    """
    if seen is None:
        return ""
    return seen.previous_release_id if seen.release_id in {release_id, unfit} else seen.release_id


def left_ids(past: Iterable[Pointer]) -> frozenset[str]:
    """Ids of the releases that nobody goes back to, and that were not deployed again since; `past` in any order.

    The pointer was moved back from them, or on from them without remembering them.
    """
    left, before = set[str](), ""
    for pointer in sorted(past, key=lambda one: one.version):
        if before and (pointer.move in {Move.ROLLBACK, Move.RESTORE} or pointer.previous_release_id != before):
            left.add(before)
        left.discard(pointer.release_id)
        before = pointer.release_id
    return frozenset(left)


def move_back_from(release_id: str, past: Iterable[Pointer]) -> Pointer | None:
    """The last move of `past`, in any order, that led back from the release; None where none did."""
    found, before = None, ""
    for pointer in sorted(past, key=lambda one: one.version):
        if before == release_id and pointer.move in {Move.ROLLBACK, Move.RESTORE}:
            found = pointer
        before = pointer.release_id
    return found


def needed_ids(pointer: Pointer | None) -> set[str]:
    """Ids of the releases that nothing may remove: the one that takes jobs, and the one that a rollback leads to."""
    return {pointer.release_id, pointer.previous_release_id} - {""} if pointer else set()


def was_left(pointer: Pointer | None, release_id: str) -> bool:
    """Whether the release took jobs until the pointer was moved back from it: it was deployed after the one that takes jobs now."""
    if pointer is None or pointer.release_id not in pointer.promoted:
        return False
    return release_id in pointer.promoted[pointer.promoted.index(pointer.release_id) + 1 :]
