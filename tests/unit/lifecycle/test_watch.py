"""The watch after a promotion: what takes it back, and what does not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.domain.deployment import Outcome, Stage
from lifecycle.domain.job import JobState, Obstacle, Purpose
from lifecycle.errors import CapctlError, PartlyApplied, RolledBack
from lifecycle.ports.jobs import LogLine, LogPage, QueueStatus
from lifecycle.workflows.execute import execute
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.watch import Watch
from tests.failures import failure
from tests.fakes.deploys import DeployWorld
from tests.fakes.jobs import queue


@pytest.fixture
def world(tmp_path: Path) -> DeployWorld:
    """One release is active; the code has changed since."""
    made = DeployWorld(tmp_path)
    made.deploy()
    made.change_code()
    return made


def work(world: DeployWorld, monkeypatch: pytest.MonkeyPatch, count: int = 1, **outcome: Any) -> None:
    """Let jobs come to the next release as soon as it takes some, which end in this way."""
    move = world.pointers.move

    def moved(pointer: Any, *, expected_version: int) -> None:
        move(pointer, expected_version=expected_version)
        if len(world.jobs.requests) == 2:
            world.jobs.course = (outcome.get("state", JobState.FAILED),)
            world.jobs.outcome = {name: value for name, value in outcome.items() if name != "state"}
            for _ in range(count):
                job = replace(world.jobs.requests[0], purpose=Purpose.WORK, queue_arn=pointer.job_queue_arn)
                job_id = world.jobs.submit(job)
                world.jobs.get(job_id)

    monkeypatch.setattr(world.pointers, "move", moved)


def in_the_watch(world: DeployWorld, patch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Let something happen once, at the first look at the dead letters after the promotion."""
    count, calls = world.ports.dead_letters.count, iter([False, True])

    def counted() -> int:
        if next(calls, False):
            do()
        return count()

    patch.setattr(world.ports.dead_letters, "count", counted)


@pytest.mark.parametrize(
    "outcome",
    [
        {"exit_code": 1},
        {"exit_code": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
        {"reason": "CannotPullContainerError: no basic auth"},
        {"status_reason": "Job attempt duration exceeded timeout"},
    ],
)
def test_failed_job_takes_the_promotion_back(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch, outcome: dict[str, Any]
) -> None:
    before, pointer = world.active, world.pointers.read()
    work(world, monkeypatch, **outcome)
    with pytest.raises(RolledBack) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("watch-failed", 7)
    assert world.active == before
    restored = world.pointers.read()
    assert pointer
    assert restored
    assert (restored.previous_release_id, restored.place) == (pointer.previous_release_id, pointer.place)
    assert (restored.version, restored.move) == (pointer.version + 2, "restore")
    assert world.ids == [before]
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, found.stage) == (Outcome.ROLLED_BACK, Stage.CLEAN)


@pytest.mark.parametrize(
    "outcome",
    [
        {"state": JobState.SUCCEEDED},
        {"exit_code": 65},
        {"obstacle": Obstacle.CAPACITY, "status_reason": "Host EC2 (instance i-1) terminated."},
        {"is_ending": True, "status_reason": "not needed any more"},
    ],
)
def test_what_is_nobody_s_fault_does_not(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch, outcome: dict[str, Any]
) -> None:
    before = world.active
    work(world, monkeypatch, **outcome)
    world.deploy()
    assert world.active != before


def test_as_many_jobs_may_fail_as_the_configuration_says(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = world.target.settings
    world.target = replace(world.target, settings=replace(settings, watch=replace(settings.watch, max_failed_jobs=2)))
    before = world.active
    work(world, monkeypatch, count=2, exit_code=1)
    world.deploy()
    assert world.active != before


def test_dead_letters_that_come_take_the_promotion_back_and_those_that_were_there_do_not(world: DeployWorld) -> None:
    before = world.active
    world.ports.dead_letters.counts = [5, 5, 5]
    world.deploy()
    assert world.active != before
    before = world.active
    world.change_code()
    world.ports.dead_letters.counts = [5, 5, 6]
    with pytest.raises(RolledBack, match="1 message came to the dead letters"):
        world.deploy()
    assert world.active == before


@pytest.mark.parametrize("looks", [1, 20, 45])
def test_count_of_dead_letters_that_the_next_look_does_not_find_takes_nothing_back(
    world: DeployWorld, looks: int
) -> None:
    before = world.active
    world.ports.dead_letters.counts = [5] * looks + [6, 5, 7, 5]
    world.deploy()
    assert world.active != before


def test_dead_letter_of_the_last_look_is_looked_at_again(world: DeployWorld) -> None:
    before, count = world.active, world.ports.dead_letters.count
    begun_s, looks = world.ports.clock.monotonic(), 0

    def counted() -> int:
        nonlocal looks
        is_late = world.ports.clock.monotonic() - begun_s >= 300
        looks += is_late
        return count() + is_late

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.ports.dead_letters, "count", counted)
        with pytest.raises(RolledBack, match="1 message came to the dead letters"):
            world.deploy()
    assert (world.active, looks) == (before, 2)


def test_watch_lasts_as_long_as_configured_and_tells_what_it_saw(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(world, monkeypatch, state=JobState.SUCCEEDED)
    before_s = world.ports.clock.monotonic()
    seen = world.deploy().of(Watch)
    assert 300 <= world.ports.clock.monotonic() - before_s < 330
    assert str(seen).startswith("1 job succeeded in 3")


def test_watch_without_jobs_says_that_it_proved_nothing(world: DeployWorld) -> None:
    assert "real work has proven nothing yet" in str(world.deploy().of(Watch))


def test_deploy_never_reads_the_whole_past_of_a_queue(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    listing = world.jobs.list

    def listed(queue_arn: str, **given: Any) -> Any:
        asked.append(given)
        return listing(queue_arn, **given)

    monkeypatch.setattr(world.jobs, "list", listed)
    work(world, monkeypatch, state=JobState.SUCCEEDED)
    assert world.deploy().of(Watch).succeeded == 1
    smoke = next(job for job in world.jobs.batch.jobs.values() if job.id == "job-2").record
    # What is left of an earlier smoke, then the end of this one, then each look of the watch, then the drain.
    assert all(one.get("named") or one.get("since_ms") == smoke.stopped_ms or one.get("states") for one in asked)
    assert [one for one in asked if "since_ms" in one]


def test_no_watch_where_the_configuration_says_so(world: DeployWorld) -> None:
    settings = world.target.settings
    world.target = replace(world.target, settings=replace(settings, watch=replace(settings.watch, duration_s=0)))
    assert world.deploy().find(Watch) is None


def test_watch_ends_when_somebody_moves_the_pointer(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.active

    def roll_back() -> None:
        run = world.run()
        execute(plan_rollback(world.ports, run, to=None), world.ports, run)

    in_the_watch(world, monkeypatch, roll_back)
    before_s = world.ports.clock.monotonic()
    stopped = failure(world.deploy)
    assert (stopped.code, stopped.exit_code) == ("pointer-moved", 1)
    assert world.active == first
    assert world.ports.clock.monotonic() - before_s < 60
    (found,) = world.ports.deployments.recent(1)
    assert found.outcome is Outcome.OVERTAKEN
    assert failure(world.resume).code == "nothing-to-resume"


def test_first_release_has_none_to_go_back_to(tmp_path: Path) -> None:
    world = DeployWorld(tmp_path)
    world.ports.dead_letters.counts = [0, 1]
    with pytest.raises(PartlyApplied) as failed:
        world.deploy()
    assert (failed.value.code, failed.value.exit_code) == ("rollback-impossible", 6)
    assert world.ids == [world.active]


def test_release_that_is_taken_back_keeps_running_its_jobs_and_takes_no_more(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.active
    work(world, monkeypatch, exit_code=1)

    def give_work() -> None:
        world.jobs.course = ()
        queue = next(one for one in world.stack.releases() if one.id != before).job_queue_arn
        world.jobs.submit(replace(world.jobs.requests[0], purpose=Purpose.WORK, queue_arn=queue))

    in_the_watch(world, monkeypatch, give_work)
    assert failure(world.deploy).exit_code == 7
    kept = next(one for one in world.stack.releases() if one.id != before)
    assert kept.job_queue_arn in world.jobs.closed
    assert any(not job.state.is_final for job in world.jobs.list(kept.job_queue_arn))
    refused = failure(lambda: plan_and_roll_back(world, kept.id))
    assert refused.code == "release-retired"


def plan_and_roll_back(world: DeployWorld, to: str) -> None:
    run = world.run()
    execute(plan_rollback(world.ports, run, to=to), world.ports, run)


def test_trouble_that_lasts_until_the_end_of_the_watch_is_no_verdict(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> QueueStatus:
        if world.ports.deployments.recent(1)[0].stage is Stage.WATCH:
            raise CapctlError("aws-unreachable", "Batch did not answer")
        return queue("VALID")

    before = world.active
    with monkeypatch.context() as patch:
        patch.setattr(world.jobs, "queue_status", fail)
        assert failure(world.deploy).code == "aws-unreachable"
    assert world.active != before
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, found.stage) == (Outcome.ABORTED, Stage.WATCH)
    world.resume()
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.PROMOTED


def test_trouble_that_passes_ends_no_watch(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, before = iter([True, False, True, False]), world.active

    def fail(*_: object) -> QueueStatus:
        if world.ports.deployments.recent(1)[0].stage is Stage.WATCH and next(looks, False):
            raise CapctlError("aws-unreachable", "Batch did not answer")
        return queue("VALID")

    monkeypatch.setattr(world.jobs, "queue_status", fail)
    world.deploy()
    assert world.active != before


def test_release_that_becomes_invalid_after_its_promotion_is_taken_back(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.active

    def status(*_: object) -> QueueStatus:
        is_watched = world.ports.deployments.recent(1)[0].stage is Stage.WATCH
        return queue("INVALID", "all EC2 instances were scaled down") if is_watched else queue("VALID")

    monkeypatch.setattr(world.jobs, "queue_status", status)
    with pytest.raises(RolledBack, match="scaled down") as failed:
        world.deploy()
    assert failed.value.code == "release-invalid"
    assert world.active == before


def test_way_back_that_was_cut_off_is_finished_and_the_bad_release_is_never_promoted_again(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CapctlError("aws-throttled", "There were too many calls")

    before = world.active
    world.ports.dead_letters.counts = [0, 1]
    with monkeypatch.context() as patch:
        patch.setattr(world.stack, "remove_releases", fail)
        assert failure(world.deploy).exit_code == 6
    (found,) = world.ports.deployments.recent(1)
    assert (found.outcome, found.stage) == (Outcome.FAILED, Stage.CLEAN)
    world.ports.dead_letters.counts = [0]
    world.resume()
    assert world.active == before
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.ROLLED_BACK


def test_way_back_that_was_killed_is_finished(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    before = world.active
    world.ports.dead_letters.counts = [0, 1]
    with monkeypatch.context() as patch:
        patch.setattr(world.pointers, "past", die)
        patch.setattr(world.ports.deployments, "write", _until_clean(world, die))
        with pytest.raises(Killed):
            world.deploy()
    world.ports.deployments.bury()
    assert world.active != before
    # The way back asks for nothing of what only a smoke needs.
    settings = world.target.settings
    out_of_reach = replace(settings.smoke, video_url="s3://elsewhere/videos/face.mp4")
    world.target = replace(world.target, settings=replace(settings, smoke=out_of_reach))
    world.resume()
    assert world.active == before
    assert world.ports.deployments.recent(1)[0].outcome is Outcome.ROLLED_BACK


def _until_clean(world: DeployWorld, die: Any) -> Any:
    write = world.ports.deployments.write
    return lambda deployment: die() if deployment.outcome else write(deployment)


def test_release_that_a_person_left_is_not_resumed(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> int:
        raise Killed

    before = world.active
    with monkeypatch.context() as patch:
        in_the_watch(world, patch, die)
        patch.setattr(world.ports.deployments, "write", _until_clean(world, die))
        with pytest.raises(Killed):
            world.deploy()
    world.ports.deployments.bury()
    run = world.run()
    execute(plan_rollback(world.ports, run, to=None), world.ports, run)
    assert failure(world.resume).code == "release-rolled-back"
    assert world.active == before


def test_pointer_of_an_earlier_version_which_kept_no_past_goes_back_to_where_it_says(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.active
    world.ports.dead_letters.counts = [0, 1]
    monkeypatch.setattr(world.pointers, "past", lambda _: ())
    assert failure(world.deploy).exit_code == 7
    assert world.active == before


def test_watch_that_fails_tells_what_each_job_said_of_it(world: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    written = ("starts", "ImportError: no module `tracker`", "hint: mend it")
    page = LogPage(lines=tuple(LogLine(at_ms=1, message=message) for message in written))
    monkeypatch.setattr(world.jobs, "logs", lambda *_, **__: page)
    work(world, monkeypatch, count=7, exit_code=70, status_reason="Essential container in task exited")
    failed = failure(world.deploy)
    assert failed.code == "watch-failed"
    ended = "FAILED, exit 70: a fault in the job's own code"
    told = [line.partition(": ")[2] for line in failed.details]
    # Of very many the logs are not read.
    assert told == [f"{ended}: ImportError: no module `tracker`"] * 5 + [ended] * 2


def test_smoke_that_was_ended_tells_its_log_as_job_logs_does(
    world: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = LogPage(lines=(LogLine(at_ms=1, message='{"event":"progress","step":"fetch"}'),))
    monkeypatch.setattr(world.jobs, "logs", lambda *_, **__: page)
    world.jobs.course, world.jobs.outcome = (JobState.FAILED,), {"exit_code": 75}
    failed = failure(world.deploy)
    assert (failed.code, failed.details) == ("smoke-interrupted", ("progress step=fetch",))
