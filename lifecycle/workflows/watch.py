"""Watch a release that has just been promoted: real jobs and dead letters tell what a smoke job cannot."""

from dataclasses import dataclass
from datetime import timedelta

from lifecycle.config.target import Target
from lifecycle.domain.job import JobRecord, JobState, Obstacle, Purpose, contract
from lifecycle.domain.measures import counted
from lifecycle.domain.moments import told_moment
from lifecycle.domain.permissions import READ_DEAD_LETTERS, READ_JOBS, READ_POINTER
from lifecycle.domain.release import Pointer
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.lookups import active_pointer


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a watch saw. `seconds` 0 = somebody else moved the pointer, so that nothing was left to watch."""

    succeeded: int
    seconds: float

    def __str__(self) -> str:
        jobs = (
            counted(self.succeeded, "job") + " succeeded"
            if self.succeeded
            else "no job ended, so real work has proven nothing yet"
        )
        return f"{jobs} in {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Look at the jobs of the active release and at the dead letters for `watch.duration_s` since the promotion.

    Raises a verdict when more jobs failed than `watch.max_failed_jobs`, or dead letters came. What is nobody's fault does not count: a
    lost host, and input that the container calls unusable.
    """

    ports: Ports
    target: Target
    release_id: str
    permissions: tuple[str, ...] = (*READ_POINTER, *READ_JOBS, *READ_DEAD_LETTERS)

    def describe(self) -> str:
        watch = self.target.settings.watch
        return (
            f"watch release {self.release_id} for {watch.duration_s} s: more than {counted(watch.max_failed_jobs, 'failed job')},"
            " or a dead letter, takes it back"
        )

    def apply(self) -> Watched:
        pointer, settings, clock = active_pointer(self.ports), self.target.settings.watch, self.ports.clock
        letters = self.ports.dead_letters.count()
        promoted = told_moment(pointer.moved_at) or clock.now()
        left_s = settings.duration_s - max((clock.now() - promoted) / timedelta(seconds=1), 0.0)
        begun_s, since_ms = clock.monotonic(), int(promoted.timestamp() * 1000)

        def look() -> list[JobRecord] | None:
            if not self._is_active(pointer):
                return None
            if (come := self.ports.dead_letters.count() - letters) > 0:
                raise self._bad(
                    f"{counted(come, 'message')} came to the dead letters",
                    "Read them in the queue of dead letters, in SQS",
                )
            ended = [job for job in self.ports.jobs.list(pointer.job_queue_arn) if job.created_ms >= since_ms]
            failed = [job for job in ended if _is_own_fault(job)]
            if len(failed) > settings.max_failed_jobs:
                raise self._bad(
                    f"{counted(len(failed), 'job')} failed", f"Read `capctl job show {failed[0].id}`", failed=failed
                )
            return ended

        how = Wait(shortest_s=1.0, longest_s=15.0, share=0.1, timeout_s=max(left_s, 0.0))
        seen = wait_for(look, lambda jobs: jobs is None, how, clock)
        succeeded = [job for job in seen or () if job.state is JobState.SUCCEEDED and job.purpose is Purpose.WORK]
        return Watched(succeeded=len(succeeded), seconds=clock.monotonic() - begun_s)

    def verify(self, _: Watched) -> None:
        """It changes nothing."""

    def _is_active(self, watched: Pointer) -> bool:
        pointer = self.ports.pointers.read()
        return pointer is not None and pointer.version == watched.version

    def _bad(self, what: str, hint: str, *, failed: list[JobRecord] | None = None) -> CapctlError:
        return CapctlError(
            "watch-failed",
            f"{what[0].upper()}{what[1:]} since release `{self.release_id}` takes jobs",
            hint=hint,
            details=tuple(f"job {job.id}: {job.status_reason or job.reason}" for job in failed or ()),
            verdict=True,
        )


def _is_own_fault(job: JobRecord) -> bool:
    """Whether a job failed in a way that the release may have to do with."""
    return (
        job.state is JobState.FAILED
        and job.purpose is Purpose.WORK
        and job.obstacle is not Obstacle.CAPACITY
        and not job.is_ending
        and job.exit_code != contract.ExitCode.INPUT
    )
