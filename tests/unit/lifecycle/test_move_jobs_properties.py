"""Moving jobs: whichever call fails, whenever the run is killed, no job is lost, and none runs twice."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.domain.job import JobState
from lifecycle.domain.moved_jobs import meant_for
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, Denied, Interrupted
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_jobs import plan_move_jobs
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.wanted_release import Wanted
from tests.fakes.batch_jobs import Attempt, Course
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken, Killed

_FAULTS: dict[str, dict[str, Any]] = {
    "refused": {},
    "lost": {"is_lost": True},
    "killed": {"error": Killed},
    "killed after": {"error": Killed, "is_lost": True},
    "denied": {"error": lambda: Denied("permission-denied", "AWS refused it")},
    "interrupted": {"error": lambda: Interrupted("interrupted", "The command was interrupted")},
}
# It waits for a host for ever, runs for a long time already, or gets a host in the middle of it all.
_WAITS: Course = (Attempt(waits_s=math.inf),)
_RUNS: Course = (Attempt(waits_s=0, starts_s=0, runs_s=5_000),)


def gets_a_host(after_s: float) -> Course:
    return (Attempt(waits_s=after_s, starts_s=1, runs_s=50),)


class Account:
    """Two releases, of which the first takes jobs again, and jobs of customers on the other one."""

    def __init__(self, folder: Path, courses: tuple[Course, ...], *, cancels_s: float = 0.0) -> None:
        self.world = DeployWorld(folder)
        settings_ = self.world.target.settings
        watch = replace(settings_.watch, duration_s=1)
        self.world.target = replace(self.world.target, settings=replace(settings_, watch=watch))
        self.ports, self.jobs, self.batch = self.world.ports, self.world.jobs, self.world.jobs.batch
        self.sessions: list[str] = []
        self.courses = courses
        self.jobs.course = (JobState.SUCCEEDED,)
        self.world.deploy()
        (self.good,) = self.world.ids
        self.world.change_code()
        self.batch.cancels_s = cancels_s

    def bad_release(self) -> str:
        """Deploy another one, give it jobs, and go back by hand."""
        self.world.deploy()
        bad = self.world.active
        assert bad
        self.give_work()
        run = self.world.run()
        execute(plan_rollback(self.ports, run, to=None), self.ports, run)
        return bad

    def give_work(self) -> None:
        """Each job of a customer goes its own way; whatever takes the place of one runs to its end."""
        pointer = self.ports.pointers.read()
        assert pointer
        for course in self.courses:
            self.sessions.append(f"work-{len(self.sessions)}")
            self.jobs.course = course
            self.jobs.submit(
                JobRequest(
                    name=self.sessions[-1],
                    queue_arn=pointer.job_queue_arn,
                    definition_arn=pointer.job_definition_arn,
                    environment={"SESSION_ID": self.sessions[-1]},
                    tags={Tag.PROJECT: self.world.target.project, "customer": "ada"},
                    timeout_s=9_000,
                )
            )
            self.batch.advance()
        self.jobs.course = (Attempt(),)

    def move(self, ports: Any, bad: str) -> BaseException | None:
        """As one more run of the command; returns why it failed. It is proven of a run that was killed that it is dead."""
        run = self.world.run()
        try:
            execute(plan_move_jobs(ports, self.world.target.project, run, bad), ports, run)
        except CapctlError as error:
            return error
        except Killed as error:
            self.ports.deployments.bury()
            return error
        return None

    def require_work_done(self) -> None:
        """Every customer's job came to its end once, and nothing waits for ever."""
        self.ports.clock.sleep(20_000)
        self.batch.advance()
        assert {session: self.batch.finished[session] for session in self.sessions} == dict.fromkeys(self.sessions, 1)
        replaced = [job.record.replaces for job in self.batch.jobs.values() if job.record.replaces]
        assert len(replaced) == len(set(replaced))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("target")


def fault(account: Account, kind: str, number: int, before: Callable[[int], object] = lambda _: None) -> Broken:
    given_ = dict(_FAULTS[kind])
    error = given_.pop("error", None)
    return Broken(account.ports, at=number, before=before, error=error() if error else None, **given_)


THREE = (_WAITS, _RUNS, _WAITS, _WAITS)


def calls_of_a_move(folder: Path) -> list[str]:
    account = Account(folder, THREE, cancels_s=3.0)
    bad = account.bad_release()
    watched = Broken(account.ports)
    assert account.move(watched, bad) is None
    account.require_work_done()
    return watched.calls


@pytest.mark.parametrize("kind", sorted(_FAULTS))
def test_every_call_of_a_move_may_fail_and_the_same_command_finishes_it(folder: Path, kind: str) -> None:
    calls = calls_of_a_move(folder)
    assert calls.count("jobs.withdraw") == calls.count("jobs.submit") == 3
    for number, name in enumerate(calls):
        account = Account(folder, THREE, cancels_s=3.0)
        bad = account.bad_release()
        broken = fault(account, kind, number)
        account.move(broken, bad)
        assert broken.calls[number] == name
        assert account.move(account.ports, bad) is None
        account.require_work_done()
        # Once more finds nothing to do.
        before = len(account.batch.jobs)
        assert account.move(account.ports, bad) is None
        assert len(account.batch.jobs) == before


def left_between(account: Account) -> set[str]:
    """The jobs that a move cancelled and that none replaced, once Batch has done what it was asked."""
    account.ports.clock.sleep(10)
    account.batch.advance()
    records = [job.record for job in account.batch.jobs.values()]
    return {job.id for job in records if meant_for(job)} - {job.replaces for job in records}


@pytest.mark.parametrize("is_lost", [False, True])
def test_interruption_at_any_call_names_every_job_that_it_leaves_between(folder: Path, is_lost: bool) -> None:
    left = 0
    for number in range(len(calls_of_a_move(folder))):
        account = Account(folder, THREE, cancels_s=3.0)
        bad = account.bad_release()
        signal = Interrupted("interrupted", "The command was interrupted")
        stopped = account.move(Broken(account.ports, at=number, error=signal, is_lost=is_lost), bad)
        assert isinstance(stopped, Interrupted)
        between = left_between(account)
        assert between <= {line.split()[0] for line in stopped.details}
        left += len(between)
    assert left


@given(
    courses=st.lists(
        st.one_of(st.just(_WAITS), st.just(_RUNS), st.integers(0, 60).map(gets_a_host)), min_size=1, max_size=6
    ),
    faults=st.lists(st.tuples(st.sampled_from(sorted(_FAULTS)), st.integers(0, 40)), max_size=3),
    cancels_s=st.integers(0, 8),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_job_is_lost_and_none_runs_twice_whatever_happens_meanwhile(
    folder: Path, courses: list[Course], faults: list[tuple[str, int]], cancels_s: int
) -> None:
    account = Account(folder, tuple(courses), cancels_s=cancels_s)
    bad = account.bad_release()

    def time_passes(_: int) -> None:
        account.ports.clock.sleep(1)

    for kind, number in faults:
        account.move(fault(account, kind, number, time_passes), bad)
    assert account.move(Broken(account.ports, before=time_passes), bad) is None
    account.require_work_done()


@pytest.mark.parametrize("cancels_s", range(12))
def test_cancellation_that_takes_effect_while_the_next_run_looks_counts_once(folder: Path, cancels_s: int) -> None:
    number = calls_of_a_move(folder).index("jobs.withdraw")
    account = Account(folder, (_WAITS,), cancels_s=cancels_s)
    bad = account.bad_release()
    assert isinstance(account.move(fault(account, "killed after", number), bad), Killed)
    account.move(Broken(account.ports, before=lambda _: account.ports.clock.sleep(1)), bad)
    assert account.move(account.ports, bad) is None
    account.require_work_done()


def calls_of_the_way_back(folder: Path, courses: tuple[Course, ...]) -> tuple[list[str], int]:
    """All calls of a deploy that is taken back, and the number of the first one after the verdict."""
    account = Account(folder, courses, cancels_s=3.0)
    watched = Broken(account.ports)
    verdict: list[int] = []

    def judge() -> int:
        verdict.append(len(watched.calls))
        return 1

    taken_back(account, watched, judge)
    return watched.calls, verdict[0]


def taken_back(account: Account, ports: Any, judge: Callable[[], int] = lambda: 1) -> BaseException | None:
    """Deploy; jobs come to the release while it is watched, and so does a dead letter."""
    letters, looks = account.ports.dead_letters, iter(range(100))

    def count() -> int:
        look = next(looks)  # the first is before the promotion
        if look == 1:
            account.give_work()
        return 0 if look < 2 else judge()

    letters.count = count  # type: ignore[method-assign]
    account.jobs.course = (JobState.SUCCEEDED,)
    run = account.world.run()
    try:
        execute(plan_deploy(ports, account.world.target, run, Wanted()), ports, run)
    except CapctlError as error:
        return error
    except Killed as error:
        account.ports.deployments.bury()
        return error
    finally:
        del letters.count
    return None


# A release whose jobs all wait would be removed as soon as none of them is left.
@pytest.mark.parametrize("courses", [THREE, (_WAITS, _WAITS)], ids=["some run", "all wait"])
@pytest.mark.parametrize("kind", ["refused", "lost", "killed", "killed after"])
def test_every_call_of_the_way_back_may_fail_and_the_pointer_is_back_and_no_job_is_lost(
    folder: Path, kind: str, courses: tuple[Course, ...]
) -> None:
    calls, verdict = calls_of_the_way_back(folder, courses)
    assert calls[verdict:].count("jobs.withdraw") == courses.count(_WAITS)
    moved_at = calls.index("pointers.move", verdict)
    for number in range(moved_at + 1, len(calls)):
        account = Account(folder, courses, cancels_s=3.0)
        failed = taken_back(account, fault(account, kind, number))
        assert failed is not None
        assert account.world.active == account.good
        last = account.ports.deployments.recent(1)[0]
        if last.is_half_cleaned:
            account.world.resume()
        bad = last.release_id
        if bad in account.world.ids:
            assert account.move(account.ports, bad) is None
        account.require_work_done()


@pytest.mark.parametrize("is_lost", [False, True])
def test_interruption_of_the_way_back_names_every_job_that_it_leaves_between(folder: Path, is_lost: bool) -> None:
    calls, verdict = calls_of_the_way_back(folder, (_WAITS, _WAITS))
    first, left = calls.index("jobs.withdraw", verdict), 0
    last = len(calls) - calls[::-1].index("jobs.submit")
    for number in range(first, last):
        account = Account(folder, (_WAITS, _WAITS), cancels_s=3.0)
        signal = Interrupted("interrupted", "The command was interrupted")
        stopped = taken_back(account, Broken(account.ports, at=number, error=signal, is_lost=is_lost))
        assert isinstance(stopped, Interrupted)
        between = left_between(account)
        assert between <= {line.split()[0] for line in stopped.details}
        left += len(between)
    assert left
