"""Rollback, status and jobs: what goes through the pointer."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.job import JobState
from lifecycle.domain.layout import RESULT_FOLDERS, VIDEO_FOLDERS
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Release
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.bootstrap import plan_bootstrap
from lifecycle.workflows.execute import execute
from lifecycle.workflows.jobs import follow_log, list_jobs, submit_job
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.rollback import plan_rollback
from lifecycle.workflows.smoke import require_video
from lifecycle.workflows.status import read_status
from pulumi_stack.components import roles
from tests.fakes.jobs import queue
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack, deployed
from tests.fakes.targets import make_target

BUCKET = "vision-capctl-123456789012-us-west-2"
VIDEO = f"s3://{BUCKET}/videos/a.mp4"
OLD, NEW = make_release(1), make_release(2)


@pytest.fixture
def ports() -> FakePorts:
    """Two releases, promoted one after the other."""
    stack = FakeStack()
    objects = FakeObjects(BUCKET)
    objects.write(VIDEO, b"a film")
    made = FakePorts(stack=stack, objects=objects)
    stack.add_release(OLD)
    stack.add_release(NEW)
    for release in (OLD, NEW):
        promote(made, release)
    return made


def promote(ports: FakePorts, release: Release) -> None:
    step = MovePointer(ports=ports, run=RUN, release_id=release.id, seen=ports.pointers.read())
    execute(Plan(title="promote", because="a test asks", steps=(step,)), ports, RUN)


def rollback(ports: FakePorts, to: Release | None = None) -> str:
    """Returns the id of the release that is active then."""
    execute(plan_rollback(ports, RUN, to=to.id if to else None), ports, RUN)
    return active_pointer(ports).release_id


def test_rollback_goes_to_the_previous_release(ports: FakePorts) -> None:
    assert rollback(ports) == OLD.id
    assert active_pointer(ports).version == 3


def test_second_rollback_does_not_go_forward_again_unasked(ports: FakePorts) -> None:
    rollback(ports)
    with pytest.raises(UsageError) as failed:
        rollback(ports)
    assert failed.value.code == "rollback-unclear"
    assert OLD.id in failed.value.message
    assert NEW.id in failed.value.message
    assert f"`--to {NEW.id}`" in failed.value.hint
    assert active_pointer(ports).release_id == OLD.id


def test_release_that_was_left_can_be_named_and_left_again(ports: FakePorts) -> None:
    rollback(ports)
    assert rollback(ports, to=NEW) == NEW.id
    assert rollback(ports) == OLD.id


def test_promotion_after_a_rollback_can_be_rolled_back(ports: FakePorts) -> None:
    rollback(ports)
    mended = make_release(3)
    ports.stack.add_release(mended)
    promote(ports, mended)
    assert rollback(ports) == OLD.id


def test_rollback_goes_by_the_order_of_promotion_not_of_making(ports: FakePorts) -> None:
    slow, quick = make_release(3), make_release(4)
    for release in (slow, quick):
        ports.stack.add_release(release)
    promote(ports, quick)
    promote(ports, slow)
    assert rollback(ports) == quick.id


def test_release_that_is_deployed_anew_can_be_rolled_back(ports: FakePorts) -> None:
    promote(ports, OLD)
    assert rollback(ports) == NEW.id


def test_rollback_changes_nothing_in_what_was_promoted_when(ports: FakePorts) -> None:
    for to in (OLD, NEW, OLD):
        rollback(ports, to=to)
        assert active_pointer(ports).promoted == (OLD.id, NEW.id)


def test_pointer_remembers_the_last_hundred_promotions(ports: FakePorts) -> None:
    many = tuple(str(number) for number in range(100))
    ports.pointers.move(replace(active_pointer(ports), version=3, promoted=many), expected_version=2)
    promote(ports, OLD)
    assert active_pointer(ports).promoted == (*many[1:], OLD.id)


def test_rollback_from_a_release_that_is_gone_goes_to_the_previous_one(ports: FakePorts) -> None:
    ports.stack.remove_releases({NEW.id})
    assert rollback(ports) == OLD.id


def test_reason_is_in_the_journal_and_the_pointer(ports: FakePorts) -> None:
    run = replace(RUN, reason="tracks are lost")
    execute(plan_rollback(ports, run, to=None), ports, run)
    assert active_pointer(ports).reason == "tracks are lost"
    assert ports.journal.entries()[-1].why == "tracks are lost"


def test_rollback_is_one_step(ports: FakePorts) -> None:
    plan = plan_rollback(ports, RUN, to=OLD.id)
    assert [step.describe() for step in plan.steps] == [f"pointer: {NEW.id} -> {OLD.id}"]


def test_rollback_to_the_active_release_does_nothing(ports: FakePorts) -> None:
    assert plan_rollback(ports, RUN, to=NEW.id).steps == ()


def test_rollback_to_a_pruned_release_is_refused(ports: FakePorts) -> None:
    ports.stack.remove_releases({OLD.id})
    with pytest.raises(CapctlError) as failed:
        plan_rollback(ports, RUN, to=None)
    assert failed.value.code == "release-missing"
    assert "capctl deploy" in failed.value.hint


def test_rollback_without_a_past_is_refused() -> None:
    stack = FakeStack()
    ports = FakePorts(stack=stack)
    with pytest.raises(CapctlError) as failed:
        plan_rollback(ports, RUN, to=None)
    assert failed.value.code == "pointer-missing"
    stack.add_release(OLD)
    promote(ports, OLD)
    with pytest.raises(CapctlError) as failed:
        plan_rollback(ports, RUN, to=None)
    assert failed.value.code == "previous-missing"


def test_rollback_loses_against_a_promotion_in_between(ports: FakePorts) -> None:
    plan = plan_rollback(ports, RUN, to=None)
    promote(ports, OLD)
    with pytest.raises(CapctlError) as failed:
        execute(plan, ports, RUN)
    assert failed.value.code == "pointer-moved"


def test_status_shows_roles_and_queues(ports: FakePorts) -> None:
    ports.jobs.queues = [queue("VALID"), queue("INVALID", "AMI cannot be described")]
    status = read_status(ports)
    assert [(r.deployed.id, r.role, r.queue.state) for r in status.releases] == [
        (OLD.id, "previous", "VALID"),
        (NEW.id, "active", "INVALID"),
    ]


def test_release_that_was_made_and_never_promoted_is_a_candidate(ports: FakePorts) -> None:
    ports.stack.add_release(make_release(3))
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", "candidate"]


def test_release_that_was_promoted_is_no_candidate_after_any_number_of_rollbacks(ports: FakePorts) -> None:
    third = make_release(3)
    ports.stack.add_release(third)
    promote(ports, third)
    for to in (NEW, OLD):
        rollback(ports, to=to)
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", ""]


def test_no_release_is_a_candidate_where_the_pointer_does_not_say_which_were_promoted(ports: FakePorts) -> None:
    ports.stack.add_release(make_release(3))
    ports.pointers.move(replace(active_pointer(ports), version=3, promoted=()), expected_version=2)
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", ""]
    rollback(ports)
    ports.stack.add_release(make_release(4))
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", "", "candidate"]


def test_release_that_is_older_than_those_of_the_pointer_has_no_role(ports: FakePorts) -> None:
    ports.stack.add_release(make_release(3))
    promote(ports, make_release(3))
    assert [release.role for release in read_status(ports).releases] == ["", "previous", "active"]


def test_status_before_the_first_deploy_is_empty() -> None:
    stack = FakeStack()
    status = read_status(FakePorts(stack=stack))
    assert (status.pointer, status.releases, status.journal) == (None, (), ())


def test_job_goes_to_the_active_release(ports: FakePorts, tmp_path: Path) -> None:
    target = make_target(tmp_path)
    job = submit_job(
        ports,
        target,
        RUN,
        video_url=VIDEO,
        session_id="a.b:1",
        environment={"SAMPLE_FPS": "1"},
    )
    (request,) = ports.jobs.requests
    assert request.queue_arn == active_pointer(ports).job_queue_arn
    assert request.name == "vision-a.b:1"
    assert request.environment == {
        "VIDEO_URL": VIDEO,
        "SESSION_ID": "a.b:1",
        "RESULT_URL": f"s3://{target.bucket}/results/a.b:1",
        "SAMPLE_FPS": "1",
    }
    assert [listed.id for listed in list_jobs(ports)] == [job.id]
    assert [listed.id for listed in list_jobs(ports, release_id=NEW.id)] == [job.id]
    assert list_jobs(ports, release_id=OLD.id) == ()


def test_job_on_a_video_that_does_not_exist_is_not_submitted(ports: FakePorts, tmp_path: Path) -> None:
    with pytest.raises(CapctlError) as failed:
        submit_job(ports, make_target(tmp_path), RUN, video_url=f"{VIDEO}x", session_id=None, environment={})
    assert failed.value.code == "video-missing"
    assert ports.jobs.requests == []


@pytest.mark.parametrize(
    ("video_url", "environment"),
    [("ftp://v/a.mp4", {}), (VIDEO, {"SAMPLE_FPS": "many"})],
)
def test_job_that_the_container_would_refuse_is_not_submitted(
    ports: FakePorts, tmp_path: Path, video_url: str, environment: dict[str, str]
) -> None:
    with pytest.raises(UsageError) as failed:
        submit_job(ports, make_target(tmp_path), RUN, video_url=video_url, session_id=None, environment=environment)
    assert failed.value.code == "job-invalid"
    assert ports.jobs.requests == []


@pytest.mark.parametrize("video_url", ["s3://elsewhere/videos/a", f"s3://{BUCKET}/models/a", f"s3://{BUCKET}/videosx"])
def test_video_that_the_job_role_may_not_read_is_refused(ports: FakePorts, tmp_path: Path, video_url: str) -> None:
    target = make_target(tmp_path, smoke={"video_url": video_url})
    for refused in (
        lambda: submit_job(ports, target, RUN, video_url=video_url, session_id=None, environment={}),
        lambda: require_video(target),
    ):
        with pytest.raises(UsageError) as failed:
            refused()
        assert failed.value.code == "video-out-of-reach"
        assert f"s3://{target.bucket}/videos/" in failed.value.hint


def test_folders_of_jobs_are_those_that_their_role_may_read_and_write() -> None:
    assert (roles.VIDEO_FOLDERS, roles.RESULT_FOLDERS) == (VIDEO_FOLDERS, RESULT_FOLDERS)


def test_queue_that_is_gone_is_a_state(ports: FakePorts) -> None:
    ports.jobs.missing = {deployed(OLD).job_queue_arn}
    assert [release.queue.state for release in read_status(ports).releases] == ["MISSING", "VALID"]


def test_job_before_the_first_deploy_is_refused(tmp_path: Path) -> None:
    ports = FakePorts()
    with pytest.raises(CapctlError) as failed:
        submit_job(
            ports,
            make_target(tmp_path),
            RUN,
            video_url=VIDEO,
            session_id=None,
            environment={},
        )
    assert failed.value.code == "pointer-missing"


def test_followed_log_ends_with_the_job_and_repeats_no_line(ports: FakePorts, tmp_path: Path) -> None:
    ports.jobs.course = (JobState.RUNNING, JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED)
    job = submit_job(
        ports,
        make_target(tmp_path),
        RUN,
        video_url=VIDEO,
        session_id=None,
        environment={},
    )
    shown: list[str] = []
    follow_log(ports, job.id, lambda line: shown.append(line.message))
    assert shown == ["analysis begins", "analysis ends"]


def test_bootstrap_creates_once() -> None:
    ports = FakePorts(stack=FakeStack(bootstrapped=False))
    execute(plan_bootstrap(ports), ports, RUN)
    assert plan_bootstrap(ports).steps == ()


def test_bootstrap_refuses_to_lose_anything() -> None:
    ports = FakePorts()
    ports.stack.surprise = (
        ResourceChange(operation=Operation.REPLACE, type="aws:dynamodb/table:Table", name="pointers"),
    )
    with pytest.raises(CapctlError) as failed:
        plan_bootstrap(ports)
    assert failed.value.code == "base-would-lose"
