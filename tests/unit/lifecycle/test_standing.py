"""What status, a resume and the next plan say of a deployment that is under way, was cut off or was overtaken."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.cli.status import _text
from lifecycle.domain.deployment import Outcome, Stage
from lifecycle.domain.job import JobState
from lifecycle.domain.release import Pointer
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.status import read_status
from lifecycle.workflows.wanted_release import Wanted
from tests.failures import failure
from tests.fakes.deploys import DeployWorld
from tests.unit.lifecycle.kill_parts import kill_at


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def shown(world: DeployWorld) -> list[str]:
    """The lines of `capctl status` about the pointer and the last deployment."""
    return _text(read_status(world.ports), world.ports.clock.now()).split("\n\n")[0].splitlines()


def interrupt_at(world: DeployWorld, patch: pytest.MonkeyPatch, port: str, method: str, *, time: int) -> None:
    """Let the call that is made for that time be interrupted by a signal."""
    call, times = getattr(getattr(world.ports, port), method), iter(range(1, time))

    def interrupted(*given: object, **named: object) -> object:
        if next(times, None):
            return call(*given, **named)
        raise Interrupted("interrupted", "The command was interrupted by SIGINT", hint="Run the same command again")

    patch.setattr(getattr(world.ports, port), method, interrupted)


def roll_back(world: DeployWorld, reason: str = "tracks are lost", to: str | None = None) -> None:
    run = replace(world.run(), user="grace", reason=reason)
    execute(plan_rollback(world.ports, run, to=to), world.ports, run)


def overtake(world: DeployWorld) -> str:
    """Two releases take jobs one after the other; while a third is promoted somebody rolls back. Returns the id of the third."""
    world.deploy()
    world.change_code()
    world.deploy()
    world.change_code()
    move = world.pointers.move

    def raced(to: Pointer, *, expected_version: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.pointers, "move", move)
            roll_back(world)
        move(to, expected_version=expected_version)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.pointers, "move", raced)
        assert failure(world.deploy).code == "pointer-moved"
    return world.ports.deployments.recent(1)[0].release_id


def test_status_is_silent_about_a_deployment_that_came_through(world: DeployWorld) -> None:
    assert len(shown(world)) == 1
    world.deploy()
    assert len(shown(world)) == 1


def test_status_says_who_deploys_and_in_which_stage(world: DeployWorld) -> None:
    kill_at(world, "jobs", "submit")
    (found,) = world.ports.deployments.recent(1)
    _, line = shown(world)
    assert (
        line == f"deployment 1 of release {found.release_id} by tester@machine runs: smoke since 2026-01-01 00:00:01Z"
    )
    assert read_status(world.ports).next == ""


def test_deployment_that_shows_no_life_any_more_is_told_with_the_way_on(world: DeployWorld) -> None:
    kill_at(world, "jobs", "submit")
    world.ports.deployments.silent_s = 7_260.0
    *_, runs, way = shown(world)
    assert "runs: smoke" in runs
    assert way == ("it has shown no life for 2h01m: if its process is gone, `capctl deploy --resume` goes on with it")


def test_status_names_the_holder_of_a_turn_that_is_no_deployment(world: DeployWorld) -> None:
    with world.ports.deployments.turn("another-run", "capctl bootstrap"):
        _, line = shown(world)
    assert line.startswith("turn: tester@machine (pid 1, `capctl bootstrap`)")


@pytest.mark.parametrize(
    ("port", "method", "stage"), [("stack", "add_release", Stage.UP), ("jobs", "submit", Stage.SMOKE)]
)
def test_status_after_a_kill_names_the_way_on(world: DeployWorld, port: str, method: str, stage: Stage) -> None:
    kill_at(world, port, method)
    world.ports.deployments.bury()
    _, what, way = shown(world)
    assert what.endswith(f"by tester@machine was cut off at {stage}")
    assert way == "`capctl deploy --resume` goes on with it"
    assert "unfinished" not in _text(read_status(world.ports), world.ports.clock.now())


def test_status_marks_a_release_whose_watch_was_cut_off(world: DeployWorld) -> None:
    kill_at(world, "jobs", "queue_status", time=5)
    world.ports.deployments.bury()
    assert shown(world)[-1] == (
        f"{world.active} takes jobs, unwatched; `capctl deploy --resume` watches on, `capctl rollback` goes back"
    )


def test_status_of_a_release_that_was_rolled_back_from_while_its_deployment_was_dead_does_not_resume_it(
    world: DeployWorld,
) -> None:
    world.deploy()
    world.change_code()
    kill_at(world, "dead_letters", "count", time=2)
    world.ports.deployments.bury()
    roll_back(world)
    assert "decide again" in shown(world)[-1]
    assert "--resume" not in shown(world)[-1]
    assert failure(world.resume).code == "release-rolled-back"


def test_new_deployment_of_a_release_that_was_once_rolled_back_from_is_gone_on_with(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    world.deploy()
    again = world.active
    roll_back(world)
    assert world.active != again
    kill_at(world, "jobs", "submit")
    world.ports.deployments.bury()
    assert shown(world)[-1] == "`capctl deploy --resume` goes on with it"
    world.resume()
    assert world.active == again


def test_overtaken_deployment_is_told_with_who_overtook_it_and_why(world: DeployWorld) -> None:
    release_id = overtake(world)
    _, what, way = shown(world)
    assert f"of release {release_id} by tester@machine ended overtaken at promote" in what
    assert "grace@machine rolled back to release" in what
    assert "tracks are lost" in what
    assert way == "Look at `capctl history` and `capctl status`, then decide again"
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.OVERTAKEN


def test_resume_of_an_overtaken_deployment_says_to_decide_again(world: DeployWorld) -> None:
    overtake(world)
    with pytest.raises(CapctlError) as failed:
        world.resume()
    assert failed.value.code == "nothing-to-resume"
    assert "grace@machine rolled back to release" in failed.value.message
    assert failed.value.hint == "Look at `capctl history` and `capctl status`, then decide again"


def test_deploy_after_an_overtaken_one_says_over_what_it_goes(world: DeployWorld) -> None:
    overtake(world)
    world.deploy()
    (line,) = [line for line in world.ports.ui.lines if "ended overtaken" in line]
    assert "grace@machine rolled back to release" in line
    assert "undoes that" in line


def test_verdict_is_told_without_a_way_on(world: DeployWorld) -> None:
    world.jobs.course = (JobState.FAILED,)
    failure(world.deploy)
    _, what = shown(world)
    assert "ended rolled-back at clean: " in what


def test_deploy_of_a_release_that_was_rolled_back_from_says_by_whom_when_and_why(world: DeployWorld) -> None:
    world.deploy()
    first = world.active
    world.change_code()
    world.deploy()
    second = world.active
    roll_back(world)
    moved = world.pointers.read()
    assert moved
    plan = plan_deploy(world.ports, world.target, world.run(), Wanted())
    line = f"release {second} took jobs until {moved.told}; this deploy undoes that"
    assert moved.told == f"grace@machine rolled back to release {first} at {moved.moved_at}: tracks are lost"
    assert plan.details == (line,)
    assert line in plan.render()
    assert f"warning: {line}" in world.ports.ui.lines


def test_rollback_is_told_behind_later_moves(world: DeployWorld) -> None:
    first, second, third = world.deploy_three()
    roll_back(world, "the third loses tracks")
    roll_back(world, "the second does, too", to=first)
    (line,) = plan_deploy(world.ports, world.target, world.run(), Wanted()).details
    assert f"release {third} took jobs until grace@machine rolled back to release {second}" in line
    assert "the third loses tracks" in line


def test_deploy_of_an_ami_and_an_image_that_were_refused_says_when_and_why(world: DeployWorld) -> None:
    world.jobs.course = (JobState.FAILED,)
    refused = failure(world.deploy)
    ended = world.ports.deployments.recent(1)[0]
    world.jobs.course = (JobState.SUCCEEDED,)
    line = (
        f"this AMI and this image were refused: {ended.told} ({ended.ended_at}): {refused.message}; "
        "this deploy tries them again"
    )
    release = replace(world.target.settings.release, memory_mib=world.target.settings.release.memory_mib * 2)
    more_memory = replace(world.target, settings=replace(world.target.settings, release=release))
    for target in (world.target, more_memory):
        plan = plan_deploy(world.ports, target, world.run(), Wanted())
        assert plan.details == (line,)
    assert f"warning: {line}" in world.ports.ui.lines
    world.deploy()
    world.target = more_memory
    assert plan_deploy(world.ports, world.target, world.run(), Wanted()).details == ()


def test_deploy_of_another_image_than_the_one_that_was_refused_says_nothing(world: DeployWorld) -> None:
    world.jobs.course = (JobState.FAILED,)
    failure(world.deploy)
    world.change_code()
    assert plan_deploy(world.ports, world.target, world.run(), Wanted()).details == ()


def test_deploy_of_what_nobody_decided_about_says_nothing(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    world.deploy()
    roll_back(world)
    world.change_code()
    assert plan_deploy(world.ports, world.target, world.run(), Wanted()).details == ()


@pytest.mark.parametrize(
    ("port", "method", "what", "way"),
    [
        (
            "dead_letters",
            "count",
            "stage `watch` of release `{}`: it takes jobs, unwatched",
            "`capctl deploy --resume` watches on, `capctl rollback` goes back",
        ),
        (
            "jobs",
            "submit",
            "stage `smoke` of release `{}`: the pointer was not moved",
            "The same command, or `capctl deploy --resume`, goes on",
        ),
        (
            "pointers",
            "move",
            "stage `promote` of release `{}`: the pointer may have moved",
            "`capctl status` tells, and names the way on",
        ),
        (
            "jobs",
            "close_queue",
            "stage `drain` of release `{}`: it takes jobs, and was watched to the end",
            "The same command does what is left",
        ),
    ],
)
def test_interrupted_deploy_says_what_takes_jobs_and_the_ways_from_there(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch, port: str, method: str, what: str, way: str
) -> None:
    world.deploy()
    world.change_code()
    world.deploy()
    world.change_code()
    # The dead letters are counted once before the pointer moves.
    interrupt_at(world, monkeypatch, port, method, time=2 if method == "count" else 1)
    told = failure(world.deploy)
    release_id = world.ports.deployments.recent(1)[0].release_id
    assert (told.exit_code, told.hint) == (130, way)
    assert told.message == f"The command was interrupted by SIGINT in {what.format(release_id)}"
    assert world.ports.deployments.now is None


def test_status_marks_a_release_whose_watch_was_interrupted(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy()
    first = world.active
    world.change_code()
    interrupt_at(world, monkeypatch, "dead_letters", "count", time=2)
    assert failure(world.deploy).code == "interrupted"
    assert world.active != first
    assert shown(world)[-1].startswith(f"{world.active} takes jobs, unwatched; `capctl deploy --resume` watches on")
