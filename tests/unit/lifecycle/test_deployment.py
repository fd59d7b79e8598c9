"""One deployment at a time: what is recorded of it, who must wait, and how it is resumed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.deployment import Outcome, Stage, recorded_release
from lifecycle.domain.job import JobState, Obstacle
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.history import read_history
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.resume import plan_resume
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from lifecycle.workflows.watch import Watch
from tests.failures import failure
from tests.fakes.deploys import DeployWorld
from tests.fakes.faults import Broken
from tests.unit.lifecycle.kill_parts import Killed, break_at, kill_at


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    return DeployWorld(tmp_path)


def stages(world: DeployWorld) -> list[Stage]:
    return [stage for stage, _ in world.ports.deployments.recent(1)[0].stages]


def test_deployment_that_came_through_is_recorded_stage_by_stage(world: DeployWorld) -> None:
    world.deploy()
    (found,) = world.ports.deployments.recent(5)
    assert stages(world) == [Stage.UP, Stage.WAIT_VALID, Stage.SMOKE, Stage.PROMOTE, Stage.WATCH, Stage.DRAIN]
    assert (found.outcome, found.release_id, found.replaces, found.error) == (Outcome.PROMOTED, world.active, "", "")
    release = recorded_release(found.record)
    assert release
    assert release.id == world.active
    assert world.ports.deployments.now is None


def test_second_deployment_says_what_it_replaced(world: DeployWorld) -> None:
    world.deploy()
    first = world.active
    world.change_code()
    world.deploy()
    assert [found.replaces for found in world.ports.deployments.recent(5)] == [first, ""]


def test_release_that_fails_its_smoke_is_recorded_as_rolled_back(world: DeployWorld) -> None:
    world.jobs.course = (JobState.FAILED,)
    assert failure(world.deploy).exit_code == 7
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, found.error, stages(world)[-1]) == (Outcome.ROLLED_BACK, "smoke-failed", Stage.CLEAN)


def test_want_of_capacity_is_recorded_and_resumed_with_the_same_release(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    assert failure(world.deploy).exit_code == 3
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, stages(world)[-1]) == (Outcome.INCONCLUSIVE, Stage.SMOKE)
    world.change_code()
    world.jobs.course, world.jobs.outcome = (JobState.SUCCEEDED,), {}
    world.resume()
    assert world.active == found.release_id
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.PROMOTED


def test_release_is_resumed_as_it_was_though_the_configuration_changed(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    failure(world.deploy)
    (begun,) = world.ids
    settings = world.target.settings
    world.target = replace(world.target, settings=replace(settings, release=replace(settings.release, vcpus=8)))
    world.jobs.course, world.jobs.outcome = (JobState.SUCCEEDED,), {}
    assert wanted_release(world.ports, world.target, Wanted()).id != begun
    world.resume()
    assert world.active == begun


@pytest.mark.parametrize(
    ("port", "method", "stage"),
    [
        ("stack", "add_release", Stage.UP),
        ("jobs", "queue_status", Stage.WAIT_VALID),
        ("jobs", "submit", Stage.SMOKE),
        ("pointers", "move", Stage.PROMOTE),
        ("dead_letters", "count", Stage.SMOKE),
        ("jobs", "queue_status", Stage.WATCH),
    ],
)
def test_killed_deployment_is_resumed_from_any_stage(world: DeployWorld, port: str, method: str, stage: Stage) -> None:
    kill_at(world, port, method, time=5 if stage is Stage.WATCH else 1)
    (found,) = world.ports.deployments.recent(1)
    assert found.stage is stage
    assert failure(world.resume).code == "deploy-locked"
    world.ports.deployments.bury()
    world.resume()
    assert world.active == found.release_id
    assert world.ids == [world.active]
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.PROMOTED


def test_watch_that_was_killed_lasts_no_longer_than_it_would_have(world: DeployWorld) -> None:
    kill_at(world, "dead_letters", "count", time=2)
    world.ports.deployments.bury()
    world.ports.clock.sleep(200)
    before_s = world.ports.clock.monotonic()
    world.resume()
    assert 95 <= world.ports.clock.monotonic() - before_s <= 115


@pytest.mark.parametrize("kills", [1, 2])
def test_letters_that_came_while_nobody_watched_count(world: DeployWorld, kills: int) -> None:
    world.deploy()
    before = world.active
    world.change_code()
    world.ports.dead_letters.counts = [5]
    kill_at(world, "dead_letters", "count", time=2)
    world.ports.deployments.bury()
    for _ in range(kills - 1):
        with pytest.MonkeyPatch.context() as patch:
            break_at(world, patch, "jobs", "list", Killed())
            with pytest.raises(Killed):
                world.resume()
        world.ports.deployments.bury()
    assert world.ports.deployments.recent(1)[0].dead_letters == 5
    world.ports.dead_letters.counts = [6]
    refused = failure(world.resume)
    assert (refused.code, refused.exit_code) == ("watch-failed", 7)
    assert "1 message came to the dead letters" in refused.message
    assert world.active == before


def test_letters_from_before_a_rollback_to_the_release_are_nothing_of_its_watch(world: DeployWorld) -> None:
    first, _, third = world.deploy_three()
    run = world.run()
    execute(plan_rollback(world.ports, run, to=first), world.ports, run)
    world.ports.dead_letters.counts = [5]
    # Killed right before the promotion of a release that took jobs before; then a person lets it take jobs.
    kill_at(world, "pointers", "move")
    world.ports.deployments.bury()
    assert world.ports.deployments.recent(1)[0].release_id == third
    world.ports.dead_letters.counts = [6]
    run = world.run()
    execute(plan_rollback(world.ports, run, to=third), world.ports, run)
    world.resume()
    assert world.active == third


def test_letters_that_an_earlier_version_did_not_count_are_counted_by_the_watch(world: DeployWorld) -> None:
    kill_at(world, "dead_letters", "count", time=2)
    world.ports.deployments.bury()
    (found,) = world.ports.deployments.recent(1)
    world.ports.deployments.write(replace(found, dead_letters=None))
    world.ports.dead_letters.counts = [6]
    world.resume()
    assert world.active == found.release_id


def test_promotion_and_rollback_ask_aws_three_times_at_most(world: DeployWorld) -> None:
    def asked(do: Callable[[], object]) -> int:
        del watched.calls[:]
        do()
        return len([call for call in watched.calls if not call.startswith("journal.")])

    def roll_back() -> None:
        run = world.run()
        execute(plan_rollback(watched, run, to=None), watched, run)

    watched = Broken(world.ports)
    world.deploy()
    world.change_code()
    run = world.run()
    plan = plan_deploy(watched, world.target, run, Wanted())
    *before, move, watch = plan.steps
    assert (type(move), type(watch)) == (MovePointer, Watch)
    execute(replace(plan, steps=tuple(before)), watched, run)
    assert asked(move.apply) <= 3
    assert asked(roll_back) <= 3


def test_who_comes_second_is_told_who_deploys_and_changes_nothing(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    plan = plan_deploy(world.ports, world.target, world.run(), Wanted())
    with world.ports.deployments.turn("another-run", "capctl deploy"):
        refused = failure(lambda: execute(plan, world.ports, world.run()))
    assert refused.code == "deploy-locked"
    assert "tester@machine" in refused.message
    assert len(world.ids) == 1


def test_rollback_waits_for_nobody(world: DeployWorld) -> None:
    world.deploy()
    first = world.active
    world.change_code()
    world.deploy()
    with world.ports.deployments.turn("another-run", "capctl deploy"):
        run = world.run()
        execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    assert world.active == first


def test_nothing_changes_a_stack_without_the_turn(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is how a later run knows whose lock of Pulumi's it meets."""
    changed: list[str] = []

    def watched(name: str, method: Any) -> Any:
        def change(*given: Any, **options: Any) -> Any:
            assert world.ports.deployments.now
            changed.append(name)
            return method(*given, **options)

        return change

    for name in ("apply_base", "add_release", "remove_releases"):
        monkeypatch.setattr(world.stack, name, watched(name, getattr(world.stack, name)))
    for _ in range(3):
        world.deploy()
        world.change_code()
    assert "remove_releases" in changed
    changed.clear()
    world.jobs.course = (JobState.FAILED,)
    assert failure(world.deploy).exit_code == 7
    assert changed == ["add_release", "remove_releases"]


def test_run_that_lost_its_turn_goes_no_further(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    add_release = world.stack.add_release

    def lose(*given: object, **named: object) -> object:
        assert world.ports.deployments.now
        world.ports.deployments.now.is_lost = True
        return add_release(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(world.stack, "add_release", lose)
    assert failure(world.deploy).code == "turn-lost"
    assert world.active is None
    assert world.jobs.requests == []


def test_nothing_to_resume_is_a_usage_error(world: DeployWorld) -> None:
    with pytest.raises(CapctlError) as failed:
        plan_resume(world.ports, world.target, world.run())
    assert (failed.value.code, "there was none" in failed.value.message) == ("nothing-to-resume", True)
    world.deploy()
    with pytest.raises(CapctlError) as failed:
        plan_resume(world.ports, world.target, world.run())
    assert "ended promoted" in failed.value.message


def test_deployment_of_another_version_is_not_resumed(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    failure(world.deploy)
    (found,) = world.ports.deployments.recent(1)
    for record in ('{"shape": "of a later version"}', "no JSON", found.record.replace('"vcpus":4', '"vcpus":8')):
        world.ports.deployments.write(replace(found, record=record))
        assert failure(world.resume).code == "deployment-foreign"


def test_resume_refuses_an_ami_that_may_not_be_deployed_any_more(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    failure(world.deploy)
    world.amis.disable(world.ami.id)
    assert failure(world.resume).code == "ami-not-verified"


def test_deploy_of_other_code_tells_of_the_one_that_can_be_resumed(world: DeployWorld) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    failure(world.deploy)
    world.change_code()
    plan_deploy(world.ports, world.target, world.run(), Wanted())
    assert any("ended inconclusive at smoke; `capctl deploy --resume`" in line for line in world.ports.ui.lines)


def test_interrupted_deployment_is_recorded_as_aborted(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(world, monkeypatch, "jobs", "submit", Interrupted("interrupted", "Interrupted"))
    failure(world.deploy)
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, found.error) == (Outcome.ABORTED, "interrupted")


def test_end_that_cannot_be_recorded_is_a_warning(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    write = world.ports.deployments.write

    def fail(deployment: object) -> None:
        if deployment.outcome:  # type: ignore[attr-defined]
            raise CapctlError("aws-unreachable", "DynamoDB did not answer")
        write(deployment)  # type: ignore[arg-type]

    monkeypatch.setattr(world.ports.deployments, "write", fail)
    world.deploy()
    assert any("is not recorded" in line for line in world.ports.ui.lines)


def test_history_tells_of_deployments_and_rollbacks_from_everywhere(world: DeployWorld) -> None:
    world.deploy()
    first = world.active
    world.change_code()
    world.deploy()
    second = world.active
    world.ports.clock.sleep(10)
    run = replace(world.run(), reason="tracks are lost")
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    world.ports.clock.sleep(10)
    world.change_code()
    world.jobs.course = (JobState.FAILED,)
    failure(world.deploy)
    told = [(event.what, event.release_id, event.outcome) for event in read_history(world.ports, count=10)]
    assert told[1:] == [("rollback", first, "promoted"), ("deploy", second, "promoted"), ("deploy", first, "promoted")]
    assert (told[0][0], told[0][2]) == ("deploy", "rolled-back")
    assert read_history(world.ports, count=2)[1].why == "tracks are lost"


def test_neither_history_nor_resume_loses_a_deployment_behind_other_turns(world: DeployWorld) -> None:
    kill_at(world, "jobs", "submit")
    world.ports.deployments.bury()
    for number in range(30):
        with world.ports.deployments.turn(f"other-{number}", "capctl bootstrap"):
            pass
    assert [event.outcome for event in read_history(world.ports, count=20)] == ["killed"]
    world.resume()
    assert world.active


def test_history_looks_behind_the_moves_of_every_event(world: DeployWorld) -> None:
    world.deploy()
    world.change_code()
    world.deploy()
    run = world.run()
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    for _ in range(3):
        world.ports.clock.sleep(10)
        world.change_code()
        world.ports.dead_letters.counts = [0, 1]
        assert failure(world.deploy).exit_code == 7
    assert [event.what for event in read_history(world.ports, count=4)][-1] == "rollback"


def test_history_tells_a_deployment_that_runs_from_one_that_was_killed(world: DeployWorld) -> None:
    kill_at(world, "jobs", "submit")
    (event,) = read_history(world.ports, count=5)
    assert (event.outcome, event.stage, event.seconds) == ("running", "smoke", None)
    world.ports.deployments.bury()
    (event,) = read_history(world.ports, count=5)
    assert event.outcome == "killed"


def test_deploy_of_what_a_killed_deployment_promoted_does_what_that_left(world: DeployWorld) -> None:
    kill_at(world, "dead_letters", "count", time=2)
    world.ports.deployments.bury()
    world.deploy()
    assert stages(world) == [Stage.WATCH, Stage.DRAIN]
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.PROMOTED


def test_history_tells_the_ami_and_the_image_of_every_release(world: DeployWorld) -> None:
    world.deploy()
    first = recorded_release(world.ports.deployments.recent(1)[0].record)
    assert first
    world.change_code()
    world.deploy()
    execute(plan_rollback(world.ports, world.run(), to=None), world.ports, world.run())
    told = {(event.release_id, event.ami_id, event.image) for event in read_history(world.ports, count=10)}
    assert len(told) == 2
    assert (first.id, first.ami_id, str(first.image)) in told


def test_rollback_to_a_release_that_is_gone_names_the_command_that_makes_it_again(world: DeployWorld) -> None:
    world.deploy()
    made = recorded_release(world.ports.deployments.recent(1)[0].record)
    assert made
    for _ in range(2):
        world.change_code()
        world.deploy()
    world.ports.stack.remove_releases({made.id})
    refused = failure(lambda: plan_rollback(world.ports, world.run(), to=made.id))
    assert refused.code == "release-missing"
    assert f"`capctl deploy --ami {made.ami_id} --image {made.image.digest}`" in refused.hint
    unknown = failure(lambda: plan_rollback(world.ports, world.run(), to="0123456789ab"))
    assert (unknown.code, "capctl history -v" in unknown.hint) == ("release-missing", True)


@pytest.mark.parametrize(("given", "kept"), [("", "new tracker"), ("by hand", "by hand")])
def test_resumed_deployment_keeps_its_reason_unless_one_is_given(world: DeployWorld, given: str, kept: str) -> None:
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"obstacle": Obstacle.CAPACITY}
    run = replace(world.run(), reason="new tracker")
    failure(lambda: execute(plan_deploy(world.ports, world.target, run, Wanted()), world.ports, run))
    world.jobs.course, world.jobs.outcome = (JobState.SUCCEEDED,), {}
    again = replace(world.run(), reason=given)
    execute(plan_resume(world.ports, world.target, again), world.ports, again)
    assert read_history(world.ports, count=1)[0].why == kept
