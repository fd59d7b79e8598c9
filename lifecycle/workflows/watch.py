"""Watch a release that has just been promoted: real jobs and dead letters tell what a smoke job cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lifecycle.config.target import Target
from lifecycle.domain.job import JobRecord, JobState, Obstacle, contract, state_text
from lifecycle.domain.measures import counted
from lifecycle.domain.moments import told_moment
from lifecycle.domain.permissions import (
    READ_DEAD_LETTERS,
    READ_DEPLOYMENTS,
    READ_JOBS,
    READ_LOGS,
    READ_POINTER,
    READ_QUEUES,
)
from lifecycle.domain.release import LOOK_AGAIN, Pointer
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.jobs import last_words
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.release_steps import invalid_release
from lifecycle.workflows.smoke_jobs import smoke_jobs
from lifecycle.workflows.watched_jobs import WatchedJobs

# Jobs whose logs are read, of those that failed.
_READ = 5
# SQS counts about, so that letters that one look counted another one must count too, and not just a moment later.
_LOOKS = Wait(shortest_s=1.0, longest_s=15.0, share=0.1, successes=2, repeat_s=15.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a watch saw of the jobs that real work gave since the smoke job."""

    succeeded: int
    failed: int
    seconds: float

    def __str__(self) -> str:
        if not self.succeeded and not self.failed:
            return f"no job ended in {self.seconds:.0f} s, so real work has proven nothing yet"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{counted(self.succeeded, 'job')} succeeded{failed} in {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The jobs that real work gave, and the messages that came to the dead letters, as SQS counts."""

    jobs: list[JobRecord]
    letters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Look at the jobs of the active release, at its queue and at the dead letters for `watch.duration_s` since the promotion.

    Raises a verdict when more jobs failed than `watch.max_failed_jobs`, when two looks running find that dead letters came, or when Batch
    finds the release invalid; and `CapctlError("pointer-moved")` when somebody moved the pointer. What is nobody's fault does not count:
    a lost host, and input that the container calls unusable. A look that fails ends nothing, unless it is the last.
    """

    ports: Ports
    target: Target
    release_id: str
    permissions: tuple[str, ...] = (
        *READ_POINTER,
        *READ_DEPLOYMENTS,
        *READ_JOBS,
        *READ_LOGS,
        *READ_QUEUES,
        *READ_DEAD_LETTERS,
    )

    def describe(self) -> str:
        watch = self.target.settings.watch
        return (
            f"watch release {self.release_id} for {watch.duration_s} s: more than {counted(watch.max_failed_jobs, 'failed job')},"
            " or a dead letter, takes it back"
        )

    def apply(self) -> Watched:
        pointer, settings, clock = active_pointer(self.ports), self.target.settings.watch, self.ports.clock
        letters = self._letters_before()
        promoted = told_moment(pointer.moved_at) or clock.now()
        left_s = settings.duration_s - max((clock.now() - promoted) / timedelta(seconds=1), 0.0)
        begun_s = clock.monotonic()
        jobs: WatchedJobs | None = None

        def look() -> _Look | CapctlError:
            nonlocal jobs
            try:
                if jobs is None:
                    jobs = WatchedJobs(self.ports, pointer.job_queue_arn, since_ms=self._smoked_ms(pointer))
                return self._look(pointer, letters, jobs)
            except CapctlError as error:
                if error.is_verdict or isinstance(error, Interrupted) or error.code == "pointer-moved":
                    raise
                return error

        how = replace(_LOOKS, timeout_s=max(left_s, 0.0))
        seen = wait_for(look, lambda seen: isinstance(seen, _Look) and seen.letters > 0, how, clock)
        if isinstance(seen, CapctlError):
            raise seen
        if seen.letters > 0:
            raise self._bad(f"{counted(seen.letters, 'message')} came to the dead letters", "Read them in SQS")
        succeeded = [job for job in seen.jobs if job.state is JobState.SUCCEEDED]
        failed = [job for job in seen.jobs if _is_own_fault(job)]
        return Watched(succeeded=len(succeeded), failed=len(failed), seconds=clock.monotonic() - begun_s)

    def verify(self, _: Watched) -> None:
        """It changes nothing."""

    def _letters_before(self) -> int:
        """Those before the promotion, which this run or the one that was killed counted; an earlier version of capctl did not."""
        ours = next(iter(self.ports.deployments.recent(1)), None)
        before = ours.dead_letters if ours else None
        return self.ports.dead_letters.count() if before is None else before

    def _smoked_ms(self, pointer: Pointer) -> int:
        """When the last smoke job ended, by Batch's own clock: this machine's may be wrong."""
        smokes = smoke_jobs(self.ports, pointer.job_queue_arn, self.release_id)
        return max((job.stopped_ms for job in smokes), default=0)

    def _look(self, pointer: Pointer, letters: int, jobs: WatchedJobs) -> _Look:
        """What came since the smoke job, and beyond that many letters. Raises what needs no second look."""
        now = self.ports.pointers.read()
        if now is None or now.version != pointer.version:
            raise CapctlError(
                "pointer-moved",
                f"Somebody moved the pointer from release `{self.release_id}` while it was watched{f': {now.told}' if now else ''}",
                hint=LOOK_AGAIN,
            )
        come = self.ports.dead_letters.count() - letters
        if invalid := invalid_release(self.release_id, self.ports.jobs.queue_status(pointer.job_queue_arn)):
            raise invalid
        work = jobs.look()
        failed = [job for job in work if _is_own_fault(job)]
        if len(failed) > self.target.settings.watch.max_failed_jobs:
            raise self._bad(
                f"{counted(len(failed), 'job')} failed", f"Read `capctl job show {failed[0].id}`", failed=failed
            )
        return _Look(jobs=work, letters=come)

    def _bad(self, what: str, hint: str, *, failed: list[JobRecord] | None = None) -> CapctlError:
        return CapctlError(
            "watch-failed",
            f"{what[0].upper()}{what[1:]} since release `{self.release_id}` takes jobs",
            hint=hint,
            details=tuple(self._told(failed or ())),
            verdict=True,
        )

    def _told(self, failed: Sequence[JobRecord]) -> Iterator[str]:
        """What ended each, and of the first ones what they wrote of it."""
        for number, job in enumerate(failed):
            said = last_words(self.ports, job) if number < _READ else ""
            yield f"job {job.id}: {state_text(job)}" + (f": {said}" if said else "")


def _is_own_fault(job: JobRecord) -> bool:
    """Whether a job failed, or can never run, in a way that the release may have to do with."""
    if job.state.needs_host:
        return job.obstacle is Obstacle.MISCONFIGURED
    return (
        job.state is JobState.FAILED
        and job.obstacle is not Obstacle.CAPACITY
        and not job.is_ending
        and job.exit_code != contract.ExitCode.INPUT
    )
