"""The release to which a rollback leads: its smoke passed, it took jobs and it was not taken back, whatever befell later deploys."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.domain.deployment import Outcome, Stage
from lifecycle.domain.job import JobState
from lifecycle.domain.release import left_ids
from lifecycle.errors import CapctlError
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from lifecycle.workflows.watch import Watch
from tests.failures import failure
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken, Killed

HEALTHY, DEAD_LETTER = [0], [0, 1]


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    """Two releases are good, and the code of a third is pushed."""
    return with_two(tmp_path)


def with_two(folder: Path) -> DeployWorld:
    world = DeployWorld(folder)
    for _ in range(2):
        world.deploy()
        world.change_code()
    return world


def deploy_bad(world: DeployWorld, *, at: int | None = None, error: BaseException | None = None) -> list[str]:
    """Deploy what fails its watch; the call with that number fails so. Returns what was called."""
    run, world.ports.dead_letters.counts = world.run(), [*DEAD_LETTER]
    broken = Broken(world.ports, at=at, error=error)
    with pytest.raises((CapctlError, Killed)):
        execute(plan_deploy(broken, world.target, run, Wanted()), broken, run)
    world.ports.deployments.bury()
    world.ports.dead_letters.counts = [*HEALTHY]
    return broken.calls


def leave_bad(world: DeployWorld) -> str:
    """Deploy a release that proves bad and stays where it is; returns its id."""
    bad = wanted_release(world.ports, world.target, Wanted()).id
    with pytest.MonkeyPatch.context() as patch:

        def fail(*_: object, **__: object) -> None:
            raise CapctlError("aws-unreachable", "No answer")

        world.ports.dead_letters.counts = [*DEAD_LETTER]
        patch.setattr(world.pointers, "past", fail)
        assert failure(world.deploy).exit_code == 6
    world.ports.dead_letters.counts = [*HEALTHY]
    (last,) = world.ports.deployments.recent(1)
    assert (world.active, last.outcome, last.stage) == (bad, Outcome.FAILED, Stage.CLEAN)
    return bad


def previous(world: DeployWorld) -> str:
    pointer = world.pointers.read()
    assert pointer
    return pointer.previous_release_id


def roll_back(world: DeployWorld) -> None:
    run = world.run()
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)


def test_wherever_the_way_back_is_cut_off_the_next_release_remembers_the_good_one(tmp_path: Path) -> None:
    first = with_two(tmp_path / "calls")
    calls = deploy_bad(first)
    looked = max(number for number, name in enumerate(calls) if name == "dead_letters.count")
    # From then on everybody knows that it proved bad.
    begun = calls.index("deployments.write", looked)
    assert "pointers.move" in calls[begun:]
    for number in range(begun + 1, len(calls)):
        for error in (None, Killed()):
            world = with_two(tmp_path / f"{number}-{error is None}")
            good = world.active
            deploy_bad(world, at=number, error=error)
            world.change_code()
            world.deploy()
            assert previous(world) == good, f"{calls[number]} {error!r}"
            roll_back(world)
            assert world.active == good


def test_deploy_past_a_bad_release_tells_of_it_and_removes_it(world: DeployWorld) -> None:
    good, bad = world.active, leave_bad(world)
    world.change_code()
    world.deploy()
    assert any(
        "ended failed at clean, and it takes jobs until this deploy has come through" in line
        for line in world.ports.ui.lines
    )
    assert world.ids == [good, world.active]
    assert left_ids(world.pointers.past(range(10))) == {bad}


def test_failed_watch_after_a_bad_release_goes_back_to_the_good_one(world: DeployWorld) -> None:
    good = world.active
    leave_bad(world)
    world.change_code()
    world.ports.dead_letters.counts = [*DEAD_LETTER]
    assert failure(world.deploy).exit_code == 7
    assert world.active == good


def test_bad_release_is_known_behind_a_deploy_that_failed_after_it_and_resume_takes_it_back(world: DeployWorld) -> None:
    good, bad = world.active, leave_bad(world)
    world.change_code()
    world.jobs.course = (JobState.FAILED,)
    assert failure(world.deploy).exit_code == 7
    world.jobs.course = (JobState.SUCCEEDED,)
    assert world.active == bad
    world.change_code()
    run = world.run()
    (move,) = [one for one in plan_deploy(world.ports, world.target, run, Wanted()).steps if hasattr(one, "unfit")]
    assert move.unfit == bad
    world.resume()
    assert world.active == good
    world.deploy()
    assert previous(world) == good


def test_resumed_deploy_past_a_bad_release_remembers_the_good_one(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = world.active
    leave_bad(world)
    world.change_code()
    with monkeypatch.context() as patch:

        def fail(*_: object) -> None:
            raise CapctlError("aws-unreachable", "No answer")

        patch.setattr(world.jobs, "submit", fail)
        assert failure(world.deploy).code == "aws-unreachable"
    world.resume()
    assert previous(world) == good


def test_release_whose_resumed_watch_proved_it_bad_is_taken_back_by_resume(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run promoted it than the one whose way back was cut off."""
    good = world.active

    def fail(*_: object) -> None:
        raise CapctlError("aws-unreachable", "No answer")

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "apply", fail)
        assert failure(world.deploy).code == "aws-unreachable"
    bad = world.active
    assert bad != good
    with monkeypatch.context() as patch:
        patch.setattr(world.pointers, "past", fail)
        world.ports.dead_letters.counts = [*DEAD_LETTER]
        assert failure(world.resume).exit_code == 6
    world.ports.dead_letters.counts = [*HEALTHY]
    assert world.active == bad
    world.resume()
    assert world.active == good


def test_first_release_that_proved_bad_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    world = DeployWorld(tmp_path)
    world.ports.dead_letters.counts = [*DEAD_LETTER]
    assert failure(world.deploy).code == "rollback-impossible"
    world.ports.dead_letters.counts = [*HEALTHY]
    world.change_code()
    world.deploy()
    assert previous(world) == ""
    assert failure(lambda: roll_back(world)).code == "previous-missing"


def test_release_that_a_person_wants_back_is_remembered_whatever_was_thought_of_it(world: DeployWorld) -> None:
    bad = leave_bad(world)
    roll_back(world)
    run = world.run()
    execute(plan_rollback(world.ports, run, to=bad), world.ports, run)
    world.change_code()
    world.deploy()
    assert previous(world) == bad
