"""An account in which a deploy may fail at any call, and what has to hold of it all the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifecycle.domain.job import JobState, Purpose, QueueState
from lifecycle.domain.release import needed_ids
from lifecycle.errors import CapctlError, Denied, Interrupted
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.resume import plan_resume
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.fakes.batch_compute import Condition
from tests.fakes.batch_jobs import Attempt, Course
from tests.fakes.batch_retries import CANNOT_PULL, OUT_OF_MEMORY, RECLAIMED, exited
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken, Killed
from tests.fakes.jobs import GOOD as LOOKS
from tests.fakes.ports import FakePorts

_TIMED: Course = (Attempt(waits_s=30, starts_s=10, runs_s=20),)
_WATCH_S, _WORK_S = 1, 3_000
_WORK: Course = (Attempt(waits_s=0, starts_s=0, runs_s=_WORK_S),)
_FAILS: Course = (Attempt(waits_s=0, starts_s=0, runs_s=0, end=exited(1)),)
# How a release turns out to be bad once it takes jobs.
SPOILT = ("a job fails", "a letter comes", "Batch finds it invalid")
BAD: dict[str, Course] = {
    "exits": (Attempt(end=exited(1)),),
    "hangs": (Attempt(runs_s=math.inf),),
    "loses hosts": (Attempt(end=RECLAIMED),),
    "cannot pull": (Attempt(end=CANNOT_PULL),),
    "needs memory": (Attempt(end=OUT_OF_MEMORY),),
    "waits": (Attempt(waits_s=math.inf),),
}
GOOD: dict[str, Course] = {
    "looks": LOOKS,
    "time": _TIMED,
    "loses a host": (Attempt(end=RECLAIMED), Attempt()),
    "is interrupted": (Attempt(end=exited(75)), Attempt()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens at a call."""

    is_lost: bool = False
    error: Callable[[], BaseException] | None = None

    def at(self, number: int, ports: FakePorts, *, before: Callable[[int], object]) -> Broken:
        """`ports` with this fault at the call of that number; `before` is told of each."""
        error = self.error() if self.error else None
        return Broken(ports, at=number, is_lost=self.is_lost, error=error, before=before)


FAULTS = {
    "refused": Fault(),
    "lost": Fault(is_lost=True),
    "killed": Fault(error=Killed),
    "denied": Fault(error=lambda: Denied("permission-denied", "AWS refused it")),
    "unreachable": Fault(is_lost=True, error=lambda: CapctlError("aws-unreachable", "AWS did not answer")),
    "interrupted": Fault(error=lambda: Interrupted("interrupted", "The command was interrupted")),
}


class Account:
    """A target with some releases, jobs of customers on the active one, and new code that nobody has deployed."""

    def __init__(self, folder: Path, *, releases: int) -> None:
        self.world = DeployWorld(folder)
        known = self.world.target.settings
        # A watch of few looks: each call of each is tried.
        settings = replace(known, watch=replace(known.watch, duration_s=_WATCH_S))
        self.world.target = replace(self.world.target, settings=settings)
        self.ports, self.batch = self.world.ports, self.world.jobs.batch
        self._work: list[str] = []
        self.bad: set[str] = set()
        self.ports.jobs.course = (JobState.SUCCEEDED,)
        for _ in range(releases):
            # The jobs of the last release still run when the next one is deployed, those of the others have ended.
            self.ports.clock.sleep(2 * _WORK_S)
            self.deploy(self.ports)
            self.work()
            self.world.change_code()
        self.ports.jobs.course = (JobState.RUNNING, JobState.SUCCEEDED)

    def deploy(self, ports: Any) -> None:
        """As one more run of the command."""
        run = self.world.run()
        execute(plan_deploy(ports, self.world.target, run, Wanted()), ports, run)

    def resume(self, ports: Any) -> None:
        """As a run with `--resume`."""
        run = self.world.run()
        execute(plan_resume(ports, self.world.target, run), ports, run)

    def attempt(self, ports: Any, act: Callable[[Account, Any], None] | None = None) -> BaseException | None:
        """Deploy, or `act`; returns why that failed, which may be any failure but a bug. It is proven of a run that was killed that it is
        dead."""
        try:
            (act or Account.deploy)(self, ports)
        except CapctlError as error:
            return error
        except Killed as error:
            self.ports.deployments.bury()
            return error
        return None

    def wanted(self, ports: FakePorts | None = None) -> str:
        return wanted_release(ports or self.ports, self.world.target, Wanted()).id

    def work(self) -> None:
        """A customer's job on the active release, which has a host at once."""
        self._work.append(f"work-{len(self._work)}")
        self._submit(self._work[-1], _WORK)

    def _submit(self, name: str, course: Course) -> None:
        pointer = self.ports.pointers.read()
        assert pointer
        request = JobRequest(
            name=name,
            queue_arn=pointer.job_queue_arn,
            definition_arn=pointer.job_definition_arn,
            environment={"SESSION_ID": name},
            tags={},
        )
        before, self.ports.jobs.course = self.ports.jobs.course, course
        self.ports.jobs.submit(request)
        self.ports.jobs.course = before
        self.batch.advance()

    def spoiling(self, how: str, release_id: str) -> Callable[[int], None]:
        """For `Broken.before`: as soon as the release takes jobs it gets a good one, and turns out to be bad."""

        def before(number: int) -> None:
            self.require_sound(number)
            if self.world.active == release_id and release_id not in self.bad:
                self.bad.add(release_id)
                self.work()
                self._spoil(how, release_id)

        return before

    def _spoil(self, how: str, release_id: str) -> None:
        if how == "a job fails":
            self._submit("fails", _FAILS)
        elif how == "a letter comes":
            self.ports.dead_letters.counts = [self.ports.dead_letters.count() + 1]
        else:
            (deployed,) = (each for each in self.world.stack.releases() if each.id == release_id)
            environment = self.batch.environments[deployed.compute_environment_arn]
            since_s = self.ports.clock.monotonic() - environment.created_s
            invalid = Condition(after_s=since_s, state=QueueState.INVALID, reason="no host joined")
            environment.course = (*environment.course, invalid)

    def require_sound(self, _: int = 0) -> None:
        """The pointer names a release that exists and whose smoke job passed, and one to go back to that exists. No release has two
        smoke jobs at once."""
        smokes = [job for job in self.batch.jobs.values() if job.request.purpose is Purpose.SMOKE]
        unfinished = [job.request.queue_arn for job in smokes if not job.state.is_final]
        assert len(unfinished) == len(set(unfinished))
        if pointer := self.ports.pointers.read():
            assert {pointer.release_id, pointer.previous_release_id} - {""} <= set(self.world.ids)
            assert self.batch.has_queue(pointer.job_queue_arn)
            assert pointer.job_definition_arn in self.batch.definitions
            passed = {job.request.queue_arn for job in smokes if job.state is JobState.SUCCEEDED}
            assert pointer.job_queue_arn in passed

    def require_not_bad(self) -> None:
        """No release takes jobs that proved bad, nor did one again after the pointer was taken back from it."""
        version = pointer.version if (pointer := self.ports.pointers.read()) else 0
        moves = [move.release_id for move in self.ports.pointers.past(range(1, version + 1))]
        assert self.world.active not in self.bad
        assert all(moves.count(release_id) == 1 for release_id in self.bad)

    def busy(self) -> set[str]:
        """Ids of the releases that have a job under way; what the pointer needs stays anyway."""
        under_way = {job.request.queue_arn for job in self.batch.jobs.values() if not job.state.is_final}
        needed = needed_ids(self.ports.pointers.read())
        return {each.id for each in self.world.stack.releases() if each.job_queue_arn in under_way} - needed

    def require_tidy(self, *, besides: Collection[str] = ()) -> None:
        """Of every release that exists all parts do, and of the others none; there are no more than `keep_releases`, `besides` these."""
        standing = self.world.stack.releases()
        kept = [each.id for each in standing if each.id not in besides]
        assert len(kept) <= self.world.target.settings.stack.keep_releases
        assert self.world.stack.half_made() == frozenset()
        assert set(self.batch.environments) == {each.compute_environment_arn for each in standing}
        assert {arn for arn in self.batch.queues if self.batch.has_queue(arn)} == {
            each.job_queue_arn for each in standing
        }
        assert set(self.batch.definitions) == {each.job_definition_arn for each in standing}

    def require_work_done(self) -> None:
        """Every customer's job comes to its end, once."""
        self.ports.clock.sleep(10_000)
        self.batch.advance()
        assert [self.batch.finished[session] for session in self._work] == [1] * len(self._work)
        assert max(self.batch.finished.values(), default=0) <= 1

    def settle(self, before: Callable[[int], object] | None = None) -> None:
        """Resume until there is nothing to resume; `before` is told of each call."""
        for _ in range(3):
            last = next(iter(self.ports.deployments.recent(20)), None)
            if not last or not (last.is_resumable or last.is_half_cleaned):
                break
            failed = self.attempt(Broken(self.ports, before=before or self.require_sound), Account.resume)
            if failed is None:
                assert self.world.active == last.release_id or last.release_id in self.bad
            self.require_tidy(besides=self.busy())
        else:
            raise AssertionError(last)
        self.require_sound()

    def go_on(self, *, tries: int = 1) -> None:
        """The same deploy again, without faults, ends promoted; so does the next one, which clears up."""
        for number in range(tries):
            if (failed := self.attempt(Broken(self.ports, before=self.require_sound))) is None:
                break
            assert number + 1 < tries, failed
        assert self.world.active == self.wanted()
        self.require_sound()
        self.require_work_done()
        self.world.change_code()
        self.deploy(self.ports)
        assert self.world.active == self.wanted()
        self.require_sound()
        self.require_tidy()


def calls_of_deploy(folder: Path, *, releases: int) -> list[str]:
    account = Account(folder, releases=releases)
    watched = Broken(account.ports)
    account.deploy(watched)
    return watched.calls


def spoilt(folder: Path, how: str, *, releases: int) -> tuple[Account, Callable[[int], None]]:
    """An account whose next release turns out to be bad once it takes jobs, and what brings that about."""
    account = Account(folder, releases=releases)
    return account, account.spoiling(how, account.wanted())
