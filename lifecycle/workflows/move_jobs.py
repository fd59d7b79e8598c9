"""Give the jobs that wait on a release to the one that takes jobs: none is lost, and none runs twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lifecycle.domain.job import JobRecord
from lifecycle.domain.measures import counted
from lifecycle.domain.moved_jobs import Staying, meant_for, moving_reason
from lifecycle.domain.permissions import MOVE_JOBS, READ_POINTER, READ_STATE, TAKE_TURN
from lifecycle.domain.plan import Guard, Nothing, Plan
from lifecycle.domain.release import LOOK_AGAIN, DeployedRelease, Move, was_left
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, Interrupted, PartlyApplied
from lifecycle.ports import Ports
from lifecycle.ports.jobs import JobRequest, Submission
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.job_moves import Movable, movable_jobs
from lifecycle.workflows.lookups import active_pointer, release_among
from lifecycle.workflows.turn_guard import TurnGuard

PERMISSIONS = {"job move": (*READ_POINTER, *READ_STATE, *TAKE_TURN)}

# Batch takes a moment to cancel.
_CANCELLED = Wait(shortest_s=0.5, longest_s=5.0, share=0.2, timeout_s=120.0)
# How many are cancelled before they are submitted again. The first goes alone: what is not allowed is refused before the rest is cancelled.
_AT_ONCE = 50
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a move did: pairs of the ids of the job that was cancelled and of the one in its place; jobs that had started meanwhile, and
    those that are not moved."""

    to: str
    pairs: tuple[tuple[JobRecord, str], ...] = ()
    started: tuple[JobRecord, ...] = ()
    staying: tuple[Staying, ...] = ()

    def __str__(self) -> str:
        said = [f"moved {counted(len(self.pairs), 'job')} to release {self.to}"]
        if self.started:
            said.append(f"{counted(len(self.started), 'job')} had started meanwhile")
        if self.staying:
            ids = ", ".join(_cut([one.job.id for one in self.staying]))
            said.append(f"{counted(len(self.staying), 'job')} not moved: {ids}")
        return "; ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveJobs:
    """Cancel the jobs that wait on a release, and submit each to the one that the pointer names once Batch says that it will not run.

    What an earlier move cancelled and never submitted goes to the release that it was meant for. `guard` is asked before anything is
    cancelled or submitted: two that move the same jobs would submit them twice.

    Raises `CapctlError("pointer-moved")` when the pointer does not name the release `to`, and `PartlyApplied("jobs-not-moved")` when some
    were cancelled and are not submitted; an interruption names those of which that may be true.
    """

    ports: Ports
    project: str
    release_id: str
    to: str
    guard: Guard
    permissions: tuple[str, ...] = (*READ_POINTER, *READ_STATE, *MOVE_JOBS)

    def describe(self) -> str:
        return f"give the jobs that wait on release {self.release_id} to release {self.to}"

    def apply(self) -> Moved:
        if (now := active_pointer(self.ports)).release_id != self.to:
            raise CapctlError(
                "pointer-moved",
                f"Somebody moved the pointer since the plan was made: {now.told}",
                hint=LOOK_AGAIN,
            )
        return _Moving(self.ports, self, self.release_id, self.to).done()

    def verify(self, _: Moved) -> None:
        """Batch gave the id of each job that it took, and said of each that was cancelled that it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreJobs:
    """Give the jobs that wait on a release that was taken back to the one that the pointer names again, as `MoveJobs` does.

    Where the pointer was not taken back from it, there is nothing to give back. A failure is a warning: the pointer is where
    it belongs, and `capctl job move` repeats the rest.
    """

    ports: Ports
    project: str
    release_id: str
    guard: Guard
    permissions: tuple[str, ...] = (*READ_POINTER, *READ_STATE, *MOVE_JOBS)

    def describe(self) -> str:
        return f"give the jobs that wait on release {self.release_id} to the one that takes jobs again"

    def apply(self) -> Moved | str:
        try:
            pointer = self.ports.pointers.read()
            if pointer is None or pointer.move != Move.RESTORE or not was_left(pointer, self.release_id):
                return Nothing("the pointer was not taken back from it")
            moved = _Moving(self.ports, self, self.release_id, pointer.release_id).done()
            return moved if moved.pairs else Nothing(str(moved))
        except Interrupted:
            raise
        except CapctlError as failure:
            again = f"`capctl job move {self.release_id}` gives what waits on it to the release that takes jobs"
            self.ports.ui.warn(f"{failure.message}; {again}")
            return Nothing("not all jobs were moved")

    def verify(self, _: Moved | str) -> None:
        """As `MoveJobs.verify`."""


def plan_move_jobs(ports: Ports, project: str, run: Run, release_id: str) -> Plan:
    """Which jobs go to the active release, and which stay. Raises `CapctlError("pointer-missing" | "release-missing")`."""
    releases, to = ports.stack.releases(), active_pointer(ports).release_id
    source = release_among(releases, release_id)
    world = movable_jobs(ports, source, releases, to=to, project=project)
    title = f"move jobs of release {release_id} to release {to}"
    details = tuple(_details(world))
    if not world.count:
        because = "it takes jobs itself" if release_id == to else "no job waits on it that can be moved"
        return Plan(title=title, because=because, details=details)
    guard = TurnGuard(ports, run)
    return Plan(
        title=title,
        because=f"release {to} takes jobs now, and {counted(world.count, 'job')} of release {release_id} can go there",
        details=details,
        steps=(MoveJobs(ports=ports, project=project, release_id=release_id, to=to, guard=guard),),
        guard=guard,
    )


def _details(world: Movable) -> Iterator[str]:
    moves = [
        *(
            f"{job.id} `{job.name}`: cancelled for release {meant_for(job)}, where it never came"
            for job in world.cut_off.open
        ),
        *(f"{one.job.id} `{one.job.name}`: {one.job.state}" for one in world.movable),
    ]
    yield from _cut(moves)
    yield from _cut([*map(str, world.staying)])


def _cut(lines: Sequence[str]) -> Iterator[str]:
    """The first ones, and how many more there are."""
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"and {len(lines) - _SHOWN} more"


class _Moving:
    """One move, and how far it came."""

    def __init__(self, ports: Ports, step: MoveJobs | RestoreJobs, release_id: str, to: str) -> None:
        self._ports, self._step, self._release_id, self._to = ports, step, release_id, to
        self._releases = ports.stack.releases()
        self._source = release_among(self._releases, release_id)
        self._places = {one.id: one for one in self._releases}
        self._begun: list[JobRecord] = []
        self._pairs: list[tuple[JobRecord, str]] = []
        self._started: list[JobRecord] = []
        self._cancels = 0
        self._trouble: CapctlError | None = None

    def done(self) -> Moved:
        try:
            return self._moved()
        except Interrupted as signal:
            if not (between := self._between()):
                raise
            raise Interrupted(
                signal.code,
                f"{signal.message} with {counted(len(between), 'job')} perhaps cancelled and not submitted again",
                hint=self._goes_on,
                details=(
                    *signal.details,
                    *_cut([f"{job.id} `{job.name}`: perhaps cancelled, and not submitted again" for job in between]),
                ),
                evidence=signal.evidence,
            ) from signal

    @property
    def _goes_on(self) -> str:
        return f"Run `capctl job move {self._release_id}`: it goes on from what is there"

    def _between(self) -> list[JobRecord]:
        """The jobs that are cancelled, or about to be, and of which no successor is known."""
        settled = {job.id for job in (*self._started, *(job for job, _ in self._pairs))}
        return [job for job in self._begun if job.id not in settled]

    def _moved(self) -> Moved:
        release_among(self._releases, self._to)
        project = self._step.project
        world = movable_jobs(self._ports, self._source, self._releases, to=self._to, project=project)
        self._begun += world.cut_off.open
        if world.cut_off.open:
            self._submit(self._ports.jobs.submissions([job.id for job in world.cut_off.open]))
        # What an earlier move left may go where nothing is taken any more; that keeps nothing from the release that takes jobs.
        before, self._trouble = self._trouble, None
        for group in _groups(world.movable):
            if not self._trouble:
                self._submit(self._cancelled(group))
        self._trouble = self._trouble or before
        if self._trouble and not self._cancels and not world.cut_off.open:
            raise self._trouble
        if self._trouble:
            raise PartlyApplied(
                "jobs-not-moved",
                f"{len(self._pairs)} of {counted(world.count, 'job')} of release `{self._release_id}` went to release"
                f" `{self._to}`, then: {self._trouble.message}",
                hint=self._goes_on,
            ) from self._trouble
        return Moved(to=self._to, pairs=tuple(self._pairs), started=tuple(self._started), staying=world.staying)

    def _cancelled(self, group: Sequence[Submission]) -> list[Submission]:
        """Those of the group that will not run any more."""
        asked: list[str] = []
        jobs: Sequence[JobRecord] = ()
        try:
            for one in group:
                self._step.guard.before(self._step)
                self._begun.append(one.job)
                self._ports.jobs.withdraw(one.job.id, reason=moving_reason(self._to))
                asked.append(one.job.id)
                self._cancels += 1
        except Interrupted:
            raise
        except CapctlError as error:
            self._trouble = error
        if not asked:
            return []
        try:
            jobs = wait_for(
                lambda: self._ports.jobs.find(asked),
                lambda seen: not _unsettled(asked, seen),
                _CANCELLED,
                self._ports.clock,
            )
        except Interrupted:
            raise
        except CapctlError as error:
            self._trouble = self._trouble or error
        if late := _unsettled(asked, jobs):
            self._trouble = self._trouble or CapctlError(
                "job-not-cancelled", f"Batch has not cancelled job `{late[0]}` yet", hint="Run the command again"
            )
        # An earlier move may have cancelled it for another release a moment ago.
        ended = {job.id: job for job in jobs if meant_for(job) in self._places}
        self._started += [job for job in jobs if not job.state.needs_host and job.id not in ended]
        return [replace(one, job=ended[one.job.id]) for one in group if one.job.id in ended]

    def _submit(self, cancelled: Sequence[Submission]) -> None:
        """Submit each where its cancellation says; after a failure still the others, which nothing else will run."""
        for one in cancelled:
            try:
                self._step.guard.before(self._step)
                new_id = self._ports.jobs.submit(_request(one, self._places[meant_for(one.job)], self._step.project))
                self._pairs.append((one.job, new_id))
            except Interrupted:
                raise
            except CapctlError as error:
                self._trouble = self._trouble or error


def _groups(jobs: Sequence[Submission]) -> Iterator[Sequence[Submission]]:
    yield jobs[:1]
    for start in range(1, len(jobs), _AT_ONCE):
        yield jobs[start : start + _AT_ONCE]


def _unsettled(job_ids: Sequence[str], seen: Sequence[JobRecord]) -> list[str]:
    """Those that have neither ended nor started: CancelJob succeeds either way, and changes nothing for one that has."""
    settled = {job.id for job in seen if not job.state.needs_host}
    return [job_id for job_id in job_ids if job_id not in settled]


def _request(one: Submission, place: DeployedRelease, project: str) -> JobRequest:
    return replace(
        one.request,
        queue_arn=place.job_queue_arn,
        definition_arn=place.job_definition_arn,
        tags={**one.request.tags, Tag.PROJECT: project, Tag.RELEASE: place.id, Tag.REPLACES: one.job.id},
    )
