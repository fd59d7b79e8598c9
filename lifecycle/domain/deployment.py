"""A deployment: one try to bring a release to the pointer, as everybody who may change the target sees it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.ami import AmiId
from lifecycle.domain.digest import Digest
from lifecycle.domain.image import ImageRef
from lifecycle.domain.release import LOOK_AGAIN, Parameters, Pointer, Release, was_left
from lifecycle.domain.states import ServiceState


class Stage(ServiceState):
    """What a deployment is doing, in this order; `CLEAN` takes the place of the rest when what was tried proves bad.

    `UNKNOWN` stands for a word of a later version of capctl.
    """

    UP = "up"
    WAIT_VALID = "wait-valid"
    SMOKE = "smoke"
    PROMOTE = "promote"
    WATCH = "watch"
    DRAIN = "drain"
    CLEAN = "clean"
    UNKNOWN = "unknown"


class Outcome(ServiceState):
    """How a deployment ended; `UNKNOWN` stands for a word of a later version of capctl.

    `ABORTED` and `INCONCLUSIVE` proved nothing about the release, which may be resumed. `FAILED` is a verdict after which nothing was there
    to go back to, or not all of it is back; `OVERTAKEN` says that somebody else moved the pointer meanwhile.
    """

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that changes what is deployed.

    `machine` tells the machine, since its start, and its process ids from any others, `began` the process from others of its id; ""
    and 0 where the system does not say. `since` is ISO 8601 in UTC.
    """

    run_id: str
    user: str
    host: str
    machine: str
    pid: int
    began: int
    command: str
    since: str

    @property
    def who(self) -> str:
        """The person and the machine."""
        return f"{self.user}@{self.host}"

    def __str__(self) -> str:
        return f"{self.who} (pid {self.pid}, `{self.command}`) since {self.since}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`number` grows by one with every turn to change what is deployed. `record` is `Release.record` as JSON, `stages` say when each
    began; all times are ISO 8601 in UTC.

    `seen_version` is that of the pointer when it began, 0 where there was none, and None where an earlier version of capctl recorded it.
    `promoted_by` is the run whose promotion it goes on with or takes back, "" where that is its own.
    `dead_letters` is how many there were right before the promotion, None where nobody counted them.
    `outcome` is None while it goes on, and when it was killed. `ended_at` is "" until it ended, `error`, the code of what ended it, and
    `why` also when it ended well.
    """

    number: int
    holder: Holder
    reason: str
    release_id: str
    record: str
    replaces: str
    stages: tuple[tuple[Stage, str], ...] = ()
    seen_version: int | None = None
    promoted_by: str = ""
    dead_letters: int | None = None
    outcome: Outcome | None = None
    ended_at: str = ""
    error: str = ""
    why: str = ""

    @property
    def stage(self) -> Stage | None:
        """Where it is, or ended; None before the first."""
        return self.stages[-1][0] if self.stages else None

    @property
    def told(self) -> str:
        """Which one it is, and how and where it ended, in one phrase."""
        ended = f"ended {self.outcome}" if self.outcome else "was cut off"
        return f"{self.name} {ended}{f' at {self.stage}' if self.stage else ''}"

    @property
    def name(self) -> str:
        """Its number, its release and who carried it out."""
        return f"deployment {self.number} of release {self.release_id} by {self.holder.who}"

    @property
    def promoter(self) -> str:
        """The run that moved the pointer to the release, if any did."""
        return self.promoted_by or self.holder.run_id

    @property
    def is_resumable(self) -> bool:
        """Whether the release was neither promoted nor proven bad, so that going on makes sense."""
        return self.outcome in {None, Outcome.INCONCLUSIVE, Outcome.ABORTED} and not self._is_on_the_way_back

    @property
    def is_half_cleaned(self) -> bool:
        """Whether the release proved bad, and the former state may not be back in place."""
        # The way back may have failed before anything of it was recorded.
        return self.outcome is Outcome.FAILED or (
            self.outcome in {None, Outcome.INCONCLUSIVE, Outcome.ABORTED} and self._is_on_the_way_back
        )

    @property
    def _is_on_the_way_back(self) -> bool:
        return any(stage is Stage.CLEAN for stage, _ in self.stages)


# What may become of a deployment, besides its outcomes.
RUNNING, KILLED = "running", "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The last deployments, newest first, and who has the turn, None when nobody has.

    `silent_s` is how long ago the turn of the holder ran out, by this machine's clock; 0 while it counts.
    """

    recent: tuple[Deployment, ...] = ()
    holder: Holder | None = None
    silent_s: float = 0.0

    @property
    def last(self) -> Deployment | None:
        """The newest one."""
        return next(iter(self.recent), None)

    @property
    def running(self) -> Deployment | None:
        """The one that is under way."""
        return self.last if self.last and self.outcome_of(self.last) == RUNNING else None

    def outcome_of(self, one: Deployment) -> str:
        """One of `Outcome`, `RUNNING` or `KILLED`."""
        is_held = self.holder is not None and self.holder.run_id == one.holder.run_id
        return one.outcome or (RUNNING if is_held else KILLED)


def way_on(last: Deployment, pointer: Pointer | None) -> str:
    """What is to be done about the last deployment, when nobody carries it out any more; "" where nothing is."""
    if last.is_half_cleaned:
        return "`capctl deploy --resume` takes it back"
    if last.outcome is Outcome.OVERTAKEN:
        return LOOK_AGAIN
    if not last.is_resumable:
        return ""
    if was_left_since(last, pointer):
        return f"it was rolled back from since. {LOOK_AGAIN}"
    if is_unwatched(last, pointer):
        return f"{last.release_id} takes jobs, unwatched; {WATCH_ON}"
    return "`capctl deploy --resume` goes on with it"


def was_left_since(last: Deployment, pointer: Pointer | None) -> bool:
    """Whether the pointer was moved back from the release after the deployment began; what went back before that, it meant to undo."""
    if pointer is None or not was_left(pointer, last.release_id):
        return False
    return last.seen_version is None or pointer.version > last.seen_version


def is_unwatched(last: Deployment, pointer: Pointer | None) -> bool:
    """Whether the release takes jobs, and its watch, when nobody carries that out any more, has not come to its end."""
    has_moved = pointer is not None and (pointer.release_id, pointer.run_id) == (last.release_id, last.promoter)
    return last.is_resumable and has_moved and last.stage in {Stage.PROMOTE, Stage.WATCH}


# What to do about a release whose watch was cut off.
WATCH_ON = "`capctl deploy --resume` watches on, `capctl rollback` goes back"


def bad_and_active(recent: Iterable[Deployment], pointer: Pointer | None) -> Deployment | None:
    """The deployment whose release proved bad and takes jobs all the same, because its way back was cut off; `recent` newest first.

    A release that a person went back to takes jobs because that person wants it.
    """
    if pointer is None:
        return None
    latest = next((one for one in recent if one.release_id == pointer.release_id), None)
    return latest if latest and latest.is_half_cleaned and latest.promoter == pointer.run_id else None


def refusal_of(release: Release, recent: Iterable[Deployment]) -> Deployment | None:
    """The last deployment of this AMI and this image that came to a verdict, if that was against them; `recent` newest first.

    The rest of the release may have been another one, such as its memory.
    """
    for one in recent:
        its = recorded_release(one.record)
        if one.release_id != release.id and (its is None or (its.ami_id, its.image) != (release.ami_id, release.image)):
            continue
        if one.outcome is Outcome.PROMOTED:
            return None
        if one.outcome is Outcome.ROLLED_BACK or one.is_half_cleaned:
            return one
    return None


def recorded_release(text: str) -> Release | None:
    """The release of a `Deployment.record`; None for one that another version of capctl wrote in another form."""
    try:
        record = json.loads(text)
        image = record["image"]
        parameters: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record["parameters"].items()
        }
        return Release(
            ami_id=AmiId(record["ami_id"]),
            image=ImageRef(repository=image["repository"], digest=Digest(image["digest"])),
            model_set=Digest(record["model_set"]),
            parameters=Parameters(**parameters),
            runtime_mount=record.get("runtime_mount", ""),
        )
    except (KeyError, TypeError, ValueError):
        return None
