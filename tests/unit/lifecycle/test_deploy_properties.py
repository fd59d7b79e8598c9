"""Deploy: what holds whichever call fails, whenever the run is killed, and whoever deploys at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lifecycle.domain.job import JobState, Purpose
from lifecycle.errors import CapctlError, Denied, Interrupted
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.fakes.batch_jobs import Attempt, Course
from tests.fakes.batch_retries import CANNOT_PULL, OUT_OF_MEMORY, RECLAIMED, exited
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken, Killed
from tests.fakes.jobs import GOOD
from tests.fakes.ports import FakePorts

# More than a deploy makes, so that some runs meet no fault at all.
_MOST_CALLS = 100
_TIMED: Course = (Attempt(waits_s=30, starts_s=10, runs_s=20),)
_WATCH_S, _WORK_S = 1, 3_000
_WORK: Course = (Attempt(runs_s=_WORK_S),)
_BAD: dict[str, Course] = {
    "exits": (Attempt(end=exited(1)),),
    "hangs": (Attempt(runs_s=math.inf),),
    "loses hosts": (Attempt(end=RECLAIMED),),
    "cannot pull": (Attempt(end=CANNOT_PULL),),
    "needs memory": (Attempt(end=OUT_OF_MEMORY),),
    "waits": (Attempt(waits_s=math.inf),),
}
_GOOD: dict[str, Course] = {
    "looks": GOOD,
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


_FAULTS = {
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

    def attempt(self, ports: Any) -> BaseException | None:
        """Deploy; returns why that failed, which may be any failure but a bug. It is proven of a run that was killed that it is dead."""
        try:
            self.deploy(ports)
        except CapctlError as error:
            return error
        except Killed as error:
            self.ports.deployments.bury()
            return error
        return None

    def wanted(self, ports: FakePorts | None = None) -> str:
        return wanted_release(ports or self.ports, self.world.target, Wanted()).id

    def work(self) -> None:
        """A customer's job on the active release."""
        pointer = self.ports.pointers.read()
        assert pointer
        self._work.append(f"work-{len(self._work)}")
        request = JobRequest(
            name=self._work[-1],
            queue_arn=pointer.job_queue_arn,
            definition_arn=pointer.job_definition_arn,
            environment={"SESSION_ID": self._work[-1]},
            tags={},
        )
        before, self.ports.jobs.course = self.ports.jobs.course, _WORK
        self.ports.jobs.submit(request)
        self.ports.jobs.course = before

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

    def require_tidy(self) -> None:
        """Of every release that exists all parts do, and of the others none; there are no more than `keep_releases`."""
        standing = self.world.stack.releases()
        assert len(standing) <= self.world.target.settings.stack.keep_releases
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

    def resume(self) -> None:
        """Go on with the last deployment, if it came to no end."""
        last = next(iter(self.ports.deployments.recent(1)), None)
        if last and last.is_resumable:
            self.world.resume()
            assert self.world.active == last.release_id
            assert len(self.world.ids) <= self.world.target.settings.stack.keep_releases
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("target")


def calls_of_deploy(folder: Path, *, releases: int) -> list[str]:
    account = Account(folder, releases=releases)
    watched = Broken(account.ports)
    account.deploy(watched)
    return watched.calls


@pytest.mark.parametrize("kind", ["refused", "lost", "killed"])
def test_every_call_of_a_deploy_may_fail_and_the_same_deploy_again_ends_promoted(folder: Path, kind: str) -> None:
    calls = calls_of_deploy(folder, releases=2)
    assert {"pointers.move", "jobs.submit", "batch.CreateComputeEnvironment", "batch.DeleteJobQueue"} <= set(calls)
    for number, name in enumerate(calls):
        account = Account(folder, releases=2)
        before = account.world.active
        broken = _FAULTS[kind].at(number, account.ports, before=account.require_sound)
        failed = account.attempt(broken)
        assert broken.calls[number] == name
        assert isinstance(failed, Killed) or kind != "killed"
        assert account.world.active in {before, account.wanted()}
        account.require_sound()
        account.resume()
        account.go_on()


@given(
    releases=st.integers(0, 3),
    number=st.integers(0, _MOST_CALLS),
    kind=st.sampled_from(sorted(_FAULTS)),
    course=st.sampled_from(sorted(_GOOD)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deploy_whose_job_is_good_is_promoted_by_the_next_run_whatever_met_the_first(
    folder: Path, releases: int, number: int, kind: str, course: str
) -> None:
    account = Account(folder, releases=releases)
    account.ports.jobs.course = _GOOD[course]
    account.attempt(_FAULTS[kind].at(number, account.ports, before=account.require_sound))
    account.require_sound()
    # A job that an interrupt cancelled has failed for good, and its release may have gone with it.
    account.go_on()


@given(
    releases=st.integers(0, 2),
    number=st.integers(0, _MOST_CALLS),
    kind=st.sampled_from(sorted(_FAULTS)),
    course=st.sampled_from(sorted(_BAD)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_release_whose_job_is_bad_never_takes_jobs_and_is_in_nobody_s_way(
    folder: Path, releases: int, number: int, kind: str, course: str
) -> None:
    account = Account(folder, releases=releases)
    before = account.world.active
    account.ports.jobs.course = _BAD[course]
    assert account.attempt(_FAULTS[kind].at(number, account.ports, before=account.require_sound))
    assert account.world.active == before
    account.require_sound()
    account.ports.jobs.course = GOOD
    # A job that a killed run left is followed, and may be as bad as before.
    account.go_on(tries=2)


@given(
    releases=st.integers(0, 3),
    number=st.integers(0, _MOST_CALLS),
    is_same=st.booleans(),
    course=st.sampled_from(sorted(_GOOD)),
)
@example(releases=2, number=50, is_same=True, course="looks")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deploys_at_once_leave_the_pointer_at_a_good_release_and_lose_no_job(
    folder: Path, releases: int, number: int, is_same: bool, course: str
) -> None:
    account = Account(folder, releases=releases)
    account.ports.jobs.course = _GOOD[course]
    other = account.ports.beside()
    other.code.files = {**account.ports.code.files}
    if not is_same:
        other.code.files["job.py"] += "# theirs"
        other.code.push()
    theirs: list[BaseException | None] = []

    def meanwhile(now: int) -> None:
        account.require_sound()
        if now == number:
            theirs.append(account.attempt(other))

    watched = Broken(account.ports, before=meanwhile)
    ours = account.attempt(watched)
    account.require_sound()
    assert None in (ours, *theirs)
    if theirs == [None] and not is_same:
        # Whoever looked at the pointer before the other one moved it moves it no more.
        assert (ours is None) is (number <= watched.calls.index("pointers.read"))
    assert account.world.active in {account.wanted(), account.wanted(other)}
    account.go_on()


@pytest.mark.parametrize(
    "name", ["batch.DeregisterJobDefinition", "batch.DeleteComputeEnvironment", "ec2.DeleteLaunchTemplate"]
)
def test_prune_that_was_killed_in_the_middle_is_finished_by_resume(tmp_path: Path, name: str) -> None:
    number = calls_of_deploy(tmp_path, releases=2).index(name)
    account = Account(tmp_path, releases=2)
    assert isinstance(account.attempt(Broken(account.ports, at=number, error=Killed())), Killed)
    account.world.resume()
    assert account.world.stack.half_made() == frozenset()
