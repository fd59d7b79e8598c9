"""Deploy: what holds whichever call fails, whenever the run is killed, and whoever deploys at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lifecycle.domain.deployment import Stage
from lifecycle.domain.job import JobState, Purpose, QueueState
from lifecycle.errors import CapctlError, Denied, Interrupted, RolledBack
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
from tests.fakes.jobs import GOOD
from tests.fakes.ports import FakePorts

# More than a deploy makes, so that some runs meet no fault at all.
_MOST_CALLS = 100
_TIMED: Course = (Attempt(waits_s=30, starts_s=10, runs_s=20),)
_WATCH_S, _WORK_S = 1, 3_000
_WORK: Course = (Attempt(waits_s=0, starts_s=0, runs_s=_WORK_S),)
_FAILS: Course = (Attempt(waits_s=0, starts_s=0, runs_s=0, end=exited(1)),)
# How a release turns out to be bad once it takes jobs.
_SPOILT = ("a job fails", "a letter comes", "Batch finds it invalid")
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

    def require_tidy(self, *, busy: int = 0) -> None:
        """Of every release that exists all parts do, and of the others none; there are no more than `keep_releases`, besides those that
        are `busy`."""
        standing = self.world.stack.releases()
        assert len(standing) <= self.world.target.settings.stack.keep_releases + busy
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
            self.require_tidy(busy=len(self._work))
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("target")


def calls_of_deploy(folder: Path, *, releases: int) -> list[str]:
    account = Account(folder, releases=releases)
    watched = Broken(account.ports)
    account.deploy(watched)
    return watched.calls


@cache
def promotion_of(folder: Path, *, releases: int) -> int:
    """The number of the call by which a deploy that nothing meets moves the pointer."""
    return calls_of_deploy(folder, releases=releases).index("pointers.move")


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
        account.settle()
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


def spoilt(folder: Path, how: str, *, releases: int) -> tuple[Account, Callable[[int], None]]:
    """An account whose next release turns out to be bad once it takes jobs, and what brings that about."""
    account = Account(folder, releases=releases)
    return account, account.spoiling(how, account.wanted())


def calls_of_way_back(folder: Path, how: str) -> list[str]:
    account, spoil = spoilt(folder, how, releases=2)
    watched = Broken(account.ports, before=spoil)
    assert isinstance(account.attempt(watched), RolledBack)
    return watched.calls


def require_taken_back(account: Account, before: str | None, spoil: Callable[[int], None]) -> None:
    """After as many runs with `--resume` as there is something to resume the former release takes jobs, and the next one is in nobody's
    way."""
    account.settle(spoil)
    if account.bad:
        assert account.world.active == before
        account.require_not_bad()
        account.world.change_code()
    account.go_on()
    account.require_not_bad()


@pytest.mark.parametrize(
    ("how", "kind"), [*((how, "killed") for how in _SPOILT), ("a job fails", "refused"), ("a letter comes", "lost")]
)
def test_every_call_after_the_promotion_of_a_bad_release_may_fail(folder: Path, how: str, kind: str) -> None:
    calls = calls_of_way_back(folder, how)
    promoted = calls.index("pointers.move")
    assert {"pointers.move", "pointers.retire", "deployments.write"} <= set(calls[promoted + 1 :])
    for number in range(promoted, len(calls)):
        account, spoil = spoilt(folder, how, releases=2)
        before = account.world.active
        failed = account.attempt(_FAULTS[kind].at(number, account.ports, before=spoil))
        assert isinstance(failed, Killed) or kind != "killed"
        require_taken_back(account, before, spoil)


@pytest.mark.parametrize("kind", ["refused", "lost", "killed"])
def test_way_back_that_was_killed_may_fail_again_at_every_call(folder: Path, kind: str) -> None:
    calls = calls_of_way_back(folder, "a job fails")
    back = max(number for number, name in enumerate(calls) if name == "pointers.move")

    def killed_on_the_way_back() -> tuple[Account, str | None, Callable[[int], None]]:
        account, spoil = spoilt(folder, "a job fails", releases=2)
        before = account.world.active
        account.attempt(_FAULTS["killed"].at(back, account.ports, before=spoil))
        return account, before, spoil

    account, _, spoil = killed_on_the_way_back()
    (killed,) = account.ports.deployments.recent(1)
    assert (killed.stage, killed.outcome) == (Stage.CLEAN, None)
    resumed = Broken(account.ports, before=spoil)
    assert account.attempt(resumed, Account.resume) is None
    (ended,) = account.ports.deployments.recent(1)
    assert [stage for stage, _ in ended.stages] == [Stage.CLEAN, Stage.DRAIN]
    for number in range(len(resumed.calls)):
        account, before, spoil = killed_on_the_way_back()
        again = account.attempt(_FAULTS[kind].at(number, account.ports, before=spoil), Account.resume)
        assert isinstance(again, Killed) or kind != "killed"
        require_taken_back(account, before, spoil)


@given(
    releases=st.integers(1, 3),
    how=st.sampled_from(_SPOILT),
    faults=st.lists(st.tuples(st.sampled_from(sorted(_FAULTS)), st.integers(0, 40)), min_size=1, max_size=3),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bad_release_is_taken_back_whatever_meets_the_runs_that_do_it(
    folder: Path, releases: int, how: str, faults: list[tuple[str, int]]
) -> None:
    account, spoil = spoilt(folder, how, releases=releases)
    before, first = account.world.active, promotion_of(folder, releases=releases)
    for number, (kind, at) in enumerate(faults):
        act = Account.resume if number else Account.deploy
        account.attempt(_FAULTS[kind].at(at if number else first + at, account.ports, before=spoil), act)
        account.require_sound()
    require_taken_back(account, before, spoil)


@given(
    releases=st.integers(1, 3),
    number=st.integers(0, _MOST_CALLS),
    how=st.sampled_from(_SPOILT),
    is_ours=st.booleans(),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_deploys_at_once_the_bad_one_is_taken_back_and_the_other_s_work_stays(
    folder: Path, releases: int, number: int, how: str, is_ours: bool
) -> None:
    account = Account(folder, releases=releases)
    other = account.ports.beside()
    other.code.files = {**account.ports.code.files, "job.py": account.ports.code.files["job.py"] + "# theirs"}
    other.code.push()
    former, ours, theirs = account.world.active, account.wanted(), account.wanted(other)
    spoil = account.spoiling(how, ours if is_ours else theirs)

    def meanwhile(now: int) -> None:
        spoil(now)
        if now == number:
            account.attempt(Broken(other, before=spoil))

    account.attempt(Broken(account.ports, before=meanwhile))
    account.settle(spoil)
    assert account.world.active in {former, theirs if is_ours else ours}
    account.require_not_bad()
    account.world.change_code()
    account.go_on()
    account.require_not_bad()


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
