"""Deploy: what holds whichever call fails, whenever the run is killed, and whoever deploys at the same time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lifecycle.domain.deployment import Stage
from lifecycle.errors import RolledBack
from tests.fakes.faults import Broken, Killed
from tests.unit.lifecycle.deploy_account import BAD, FAULTS, GOOD, SPOILT, Account, calls_of_deploy, spoilt

# More than a deploy makes, so that some runs meet no fault at all.
_MOST_CALLS = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("target")


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
        broken = FAULTS[kind].at(number, account.ports, before=account.require_sound)
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
    kind=st.sampled_from(sorted(FAULTS)),
    course=st.sampled_from(sorted(GOOD)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deploy_whose_job_is_good_is_promoted_by_the_next_run_whatever_met_the_first(
    folder: Path, releases: int, number: int, kind: str, course: str
) -> None:
    account = Account(folder, releases=releases)
    account.ports.jobs.course = GOOD[course]
    account.attempt(FAULTS[kind].at(number, account.ports, before=account.require_sound))
    account.require_sound()
    # A job that an interrupt cancelled has failed for good, and its release may have gone with it.
    account.go_on()


@given(
    releases=st.integers(0, 2),
    number=st.integers(0, _MOST_CALLS),
    kind=st.sampled_from(sorted(FAULTS)),
    course=st.sampled_from(sorted(BAD)),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_release_whose_job_is_bad_never_takes_jobs_and_is_in_nobody_s_way(
    folder: Path, releases: int, number: int, kind: str, course: str
) -> None:
    account = Account(folder, releases=releases)
    before = account.world.active
    account.ports.jobs.course = BAD[course]
    assert account.attempt(FAULTS[kind].at(number, account.ports, before=account.require_sound))
    assert account.world.active == before
    account.require_sound()
    account.ports.jobs.course = GOOD["looks"]
    # A job that a killed run left is followed, and may be as bad as before.
    account.go_on(tries=2)


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
    ("how", "kind"), [*((how, "killed") for how in SPOILT), ("a job fails", "refused"), ("a letter comes", "lost")]
)
def test_every_call_after_the_promotion_of_a_bad_release_may_fail(folder: Path, how: str, kind: str) -> None:
    calls = calls_of_way_back(folder, how)
    promoted = calls.index("pointers.move")
    assert {"pointers.move", "pointers.retire", "deployments.write"} <= set(calls[promoted + 1 :])
    for number in range(promoted, len(calls)):
        account, spoil = spoilt(folder, how, releases=2)
        before = account.world.active
        failed = account.attempt(FAULTS[kind].at(number, account.ports, before=spoil))
        assert isinstance(failed, Killed) or kind != "killed"
        require_taken_back(account, before, spoil)


@pytest.mark.parametrize("kind", ["refused", "lost", "killed"])
def test_way_back_that_was_killed_may_fail_again_at_every_call(folder: Path, kind: str) -> None:
    calls = calls_of_way_back(folder, "a job fails")
    back = max(number for number, name in enumerate(calls) if name == "pointers.move")

    def killed_on_the_way_back() -> tuple[Account, str | None, Callable[[int], None]]:
        account, spoil = spoilt(folder, "a job fails", releases=2)
        before = account.world.active
        account.attempt(FAULTS["killed"].at(back, account.ports, before=spoil))
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
        again = account.attempt(FAULTS[kind].at(number, account.ports, before=spoil), Account.resume)
        assert isinstance(again, Killed) or kind != "killed"
        require_taken_back(account, before, spoil)


@given(
    releases=st.integers(1, 3),
    how=st.sampled_from(SPOILT),
    faults=st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 40)), min_size=1, max_size=3),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bad_release_is_taken_back_whatever_meets_the_runs_that_do_it(
    folder: Path, releases: int, how: str, faults: list[tuple[str, int]]
) -> None:
    account, spoil = spoilt(folder, how, releases=releases)
    before, first = account.world.active, promotion_of(folder, releases=releases)
    for number, (kind, at) in enumerate(faults):
        act = Account.resume if number else Account.deploy
        account.attempt(FAULTS[kind].at(at if number else first + at, account.ports, before=spoil), act)
        account.require_sound()
    require_taken_back(account, before, spoil)


@given(
    releases=st.integers(1, 3),
    number=st.integers(0, _MOST_CALLS),
    how=st.sampled_from(SPOILT),
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
    course=st.sampled_from(sorted(GOOD)),
)
@example(releases=2, number=50, is_same=True, course="looks")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deploys_at_once_leave_the_pointer_at_a_good_release_and_lose_no_job(
    folder: Path, releases: int, number: int, is_same: bool, course: str
) -> None:
    account = Account(folder, releases=releases)
    account.ports.jobs.course = GOOD[course]
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
