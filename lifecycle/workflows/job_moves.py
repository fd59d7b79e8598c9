"""Which jobs of a release are still to be moved to another one, and which stay: all of it is read from Batch, also after a kill.

A job is moved by three calls in this order: it is cancelled with a reason that names the release it goes to; Batch says that it has
ended by this; it is submitted there with a tag that names the cancelled one. So a cancelled job without one in its place is the only
trace of a move that was cut off, and it tells where to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.domain.job import WAITING, JobRecord, JobState
from lifecycle.domain.moved_jobs import MOVING, REMEMBERED_MS, Staying, meant_for, why_stays
from lifecycle.domain.release import DeployedRelease
from lifecycle.domain.tags import Tag
from lifecycle.ports import Ports
from lifecycle.ports.jobs import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """Jobs that were cancelled for another release: those that were never submitted there, and those of which nobody can say it."""

    open: tuple[JobRecord, ...] = ()
    unclear: tuple[Staying, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """What there is to move: jobs that wait, oldest first, and those of earlier moves that were cut off; `staying` are not moved."""

    movable: tuple[Submission, ...]
    cut_off: CutOff
    staying: tuple[Staying, ...]

    @property
    def count(self) -> int:
        """How many jobs there are to move."""
        return len(self.movable) + len(self.cut_off.open)


def movable_jobs(
    ports: Ports, source: DeployedRelease, releases: tuple[DeployedRelease, ...], *, to: str, project: str
) -> Movable:
    """What there is to move from a release to the release `to`; of that one itself only what earlier moves left undone."""
    movable, staying = ((), ()) if source.id == to else _waiting(ports, source, project)
    # Read after those that wait: whichever ends between by an earlier move is among these.
    cut_off = cut_off_moves(ports, source, releases)
    ended = {job.id for job in (*cut_off.open, *(one.job for one in cut_off.unclear))}
    return Movable(
        movable=tuple(one for one in movable if one.job.id not in ended),
        cut_off=cut_off,
        staying=(*staying, *cut_off.unclear),
    )


def _waiting(
    ports: Ports, deployed: DeployedRelease, project: str
) -> tuple[tuple[Submission, ...], tuple[Staying, ...]]:
    """The jobs that wait for a host and can be moved, oldest first, and those that cannot."""
    found = ports.jobs.list(deployed.job_queue_arn, states=WAITING)
    submissions = ports.jobs.submissions([job.id for job in reversed(found)]) if found else ()
    needed_by = {job_id: one.job.id for one in submissions for job_id in one.waits_for}
    movable, staying = list[Submission](), list[Staying]()
    for one in submissions:
        why = why_stays(
            one.job,
            definition_arn=deployed.job_definition_arn,
            special=one.special,
            waits_for=one.waits_for,
            needed_by=needed_by.get(one.job.id, ""),
            owner=one.request.tags.get(Tag.PROJECT, ""),
            project=project,
        )
        if why:
            staying.append(Staying(job=one.job, why=why))
        else:
            movable.append(one)
    movable.sort(key=lambda one: one.job.created_ms)
    return tuple(movable), tuple(staying)


def cut_off_moves(ports: Ports, deployed: DeployedRelease, releases: tuple[DeployedRelease, ...]) -> CutOff:
    """The jobs of a release that moves to others of `releases` cancelled, oldest first, as far as Batch knows them."""
    cancelled = ports.jobs.list(deployed.job_queue_arn, states={JobState.FAILED}, reason=MOVING)
    places = {one.id: one for one in releases}
    successors = {
        release_id: successors_of([job for job in cancelled if meant_for(job) == release_id], ports, places[release_id])
        for release_id in {meant_for(job) for job in cancelled} & places.keys()
    }
    now_ms = int(ports.clock.now().timestamp() * 1000)
    still_open, unclear = list[JobRecord](), list[Staying]()
    for job in reversed(cancelled):
        release_id = meant_for(job)
        if job.id in successors.get(release_id, {}):
            continue
        if release_id not in places:
            why = f"it was cancelled for release {release_id}, which is gone, and may have run there"
            unclear.append(Staying(job=job, why=why))
        elif now_ms - max(job.stopped_ms, job.created_ms) > REMEMBERED_MS:
            why = f"it was cancelled for release {release_id} days ago, and Batch may have forgotten that it ran there"
            unclear.append(Staying(job=job, why=why))
        else:
            still_open.append(job)
    return CutOff(open=tuple(still_open), unclear=tuple(unclear))


def successors_of(jobs: list[JobRecord], ports: Ports, place: DeployedRelease) -> Mapping[str, JobRecord]:
    """The jobs that were submitted to a release in the place of `jobs`, by the ids of these."""
    if not jobs:
        return {}
    # None came before the one whose place it takes.
    found = ports.jobs.list(place.job_queue_arn, since_ms=min(job.created_ms for job in jobs))
    return {job.replaces: job for job in found if job.replaces in {one.id for one in jobs}}
