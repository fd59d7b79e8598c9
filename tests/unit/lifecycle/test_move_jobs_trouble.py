"""Moving jobs that wait, where something stands against it: refusals, moves that were cut off, signals, other runs."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.tags import Tag
from lifecycle.errors import Interrupted, PartlyApplied
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.execute import execute
from lifecycle.workflows.move_jobs import plan_move_jobs
from tests.failures import failure
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.unit.lifecycle.move_jobs_parts import PROJECT, cut_off, left_release, move, refuse, submit
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, promote


@pytest.fixture
def ports() -> FakePorts:
    return left_release()


def test_what_is_not_allowed_is_refused_before_more_than_one_job_is_cancelled(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        submit(ports)
    with monkeypatch.context() as patch:
        patch.setattr(ports.jobs, "submit", refuse)
        stopped = failure(lambda: move(ports))
    assert isinstance(stopped, PartlyApplied)
    assert stopped.code == "jobs-not-moved"
    assert stopped.message.startswith(
        f"0 of 10 jobs of release `{NEW.id}` went to release `{OLD.id}`, then: AWS refused"
    )
    assert stopped.hint.startswith(f"Run `capctl job move {NEW.id}`")
    assert len(ports.jobs.withdrawn) == 1
    assert len(move(ports).pairs) == 10


def as_the_policies_allow(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> None:
    """CancelJob asks for the project's tag on the job, and TagResource for it among those that SubmitJob gives a new one."""
    withdraw, submit_ = ports.jobs.withdraw, ports.jobs.submit

    def cancel(job_id: str, *, reason: str) -> None:
        if ports.jobs.batch.jobs[job_id].request.tags.get(Tag.PROJECT) != PROJECT:
            refuse()
        withdraw(job_id, reason=reason)

    def give(request: JobRequest) -> str:
        return submit_(request) if request.tags.get(Tag.PROJECT) == PROJECT else refuse()

    monkeypatch.setattr(ports.jobs, "withdraw", cancel)
    monkeypatch.setattr(ports.jobs, "submit", give)


def test_with_the_policies_of_the_examples_what_has_the_tag_goes_and_nothing_else_is_touched(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = submit(ports, "by a program of others", tags={})
    ids = [submit(ports, f"job-{number}") for number in range(3)]
    with monkeypatch.context() as patch:
        as_the_policies_allow(ports, patch)
        moved = move(ports)
    assert [job.id for job, _ in moved.pairs] == ids
    assert [one.job.id for one in moved.staying] == [without]
    assert ports.jobs.get(without).state.needs_host
    ports.jobs.batch.jobs[without].request.tags[Tag.PROJECT] = PROJECT
    assert [job.id for job, _ in move(ports).pairs] == [without]


def test_cancelled_job_that_was_refused_is_submitted_first_by_the_next_run_and_with_the_tag_of_the_project(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    # As one that an earlier version cancelled, which did not ask for it.
    del ports.jobs.batch.jobs[job_id].request.tags[Tag.PROJECT]
    other = submit(ports)
    with monkeypatch.context() as patch:
        as_the_policies_allow(ports, patch)
        pairs = move(ports).pairs
    assert [job.id for job, _ in pairs] == [job_id, other]
    assert ports.jobs.batch.jobs[pairs[0][1]].request.tags[Tag.PROJECT] == PROJECT
    assert not plan_move_jobs(ports, PROJECT, RUN, NEW.id).steps


def test_refusal_before_anything_was_cancelled_is_told_as_it_is(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ports)
    monkeypatch.setattr(ports.jobs, "withdraw", refuse)
    stopped = failure(lambda: move(ports))
    assert (stopped.code, stopped.exit_code) == ("permission-denied", 4)


def test_batch_that_never_cancels_is_told(ports: FakePorts) -> None:
    ports.jobs.batch.cancels_s = math.inf
    job_id = submit(ports)
    stopped = failure(lambda: move(ports))
    assert stopped.message.endswith(f"Batch has not cancelled job `{job_id}` yet")


def test_move_that_was_cut_off_goes_to_the_release_that_it_names_whichever_is_active_by_now(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    third = numbered(3)
    ports.stack.add_release(third)
    promote(ports, third)
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert plan.details == (f"{job_id} `job`: cancelled for release {OLD.id}, where it never came",)
    ((job, new_id),) = move(ports).pairs
    assert (job.id, ports.jobs.get(new_id).queue_arn) == (job_id, deployed(OLD).job_queue_arn)
    assert not plan_move_jobs(ports, PROJECT, RUN, NEW.id).steps


def test_job_whose_release_takes_none_any_more_keeps_no_other_from_the_active_one(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(ports, monkeypatch)
    third = numbered(3)
    ports.stack.add_release(third)
    promote(ports, third)
    ports.jobs.close_queue(deployed(OLD).job_queue_arn)
    waiting = submit(ports, "waiting")
    stopped = failure(lambda: move(ports))
    assert stopped.message.startswith("1 of 2 jobs")
    assert [job.record.replaces for job in ports.jobs.batch.jobs_of(deployed(third).job_queue_arn)] == [waiting]
    ports.jobs.open_queue(deployed(OLD).job_queue_arn)
    assert len(move(ports).pairs) == 1


def test_move_that_was_cut_off_is_finished_also_when_the_release_takes_jobs_again(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    promote(ports, NEW)
    waiting = submit(ports, "waits where it should")
    assert [job.id for job, _ in move(ports).pairs] == [job_id]
    assert ports.jobs.get(waiting).state.needs_host


def test_job_that_went_to_a_release_which_is_gone_may_have_run_and_stays(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    promote(ports, NEW)
    ports.stack.remove_releases({OLD.id}, needed=set())
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert plan.details == (
        f"{job_id} `job` stays: it was cancelled for release {OLD.id}, which is gone, and may have run there",
    )
    assert not plan.steps


def test_job_that_was_cancelled_days_ago_may_have_run_where_batch_has_forgotten_it(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    ports.clock.sleep(timedelta(days=5, hours=23).total_seconds())
    assert plan_move_jobs(ports, PROJECT, RUN, NEW.id).steps
    ports.clock.sleep(timedelta(hours=2).total_seconds())
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert not plan.steps
    assert plan.details[0].startswith(f"{job_id} `job` stays: it was cancelled for release {OLD.id} days ago")


def test_cancelled_job_of_which_batch_tells_no_end_is_as_old_as_its_submission(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = cut_off(ports, monkeypatch)
    ports.jobs.batch.jobs[job_id].stopped_ms = 0
    assert [job.id for job, _ in move(ports).pairs] == [job_id]


def interrupt(*_: object, **__: object) -> str:
    raise Interrupted("interrupted", "The command was interrupted", hint="Run it again")


def test_interruption_counts_and_names_the_jobs_that_may_be_left_without_another_in_their_place(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = cut_off(ports, monkeypatch)
    ids = [submit(ports, f"job-{number}") for number in range(22)]
    submit_, taken = ports.jobs.submit, iter(range(5))

    def stop_at_the_fifth(request: JobRequest) -> str:
        return submit_(request) if next(taken) < 4 else interrupt()

    with monkeypatch.context() as patch:
        patch.setattr(ports.jobs, "submit", stop_at_the_fifth)
        stopped = failure(lambda: move(ports))
    assert isinstance(stopped, Interrupted)
    assert stopped.message == "The command was interrupted with 19 jobs perhaps cancelled and not submitted again"
    assert stopped.hint == f"Run `capctl job move {NEW.id}`: it goes on from what is there"
    assert stopped.details[0] == f"{ids[3]} `job-3`: perhaps cancelled, and not submitted again"
    assert [line.split()[0] for line in stopped.details] == ids[3:]
    with monkeypatch.context() as patch:
        patch.setattr(ports.jobs, "submit", interrupt)
        assert "with 19 jobs" in failure(lambda: move(ports)).message
    assert [job.id for job, _ in move(ports).pairs] == ids[3:]
    assert sorted(job.record.replaces for job in ports.jobs.batch.jobs.values() if job.record.replaces) == sorted(
        [earlier, *ids]
    )


def test_interruption_that_leaves_no_job_between_is_told_as_it_is(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ports)
    monkeypatch.setattr(ports.jobs, "submissions", interrupt)
    stopped = failure(lambda: move(ports))
    assert (stopped.message, stopped.hint, stopped.details) == ("The command was interrupted", "Run it again", ())


def test_only_one_moves_jobs_at_a_time(ports: FakePorts) -> None:
    submit(ports)
    with ports.deployments.turn("another", "capctl deploy"):
        assert failure(lambda: move(ports)).code == "deploy-locked"
    assert not ports.jobs.withdrawn


def test_turn_that_is_lost_in_the_middle_ends_the_move_before_anything_else_is_submitted(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        submit(ports)
    find = ports.jobs.find

    def sleep_too_long(job_ids: Any) -> Any:
        assert ports.deployments.now
        ports.deployments.now.is_lost = True
        return find(job_ids)

    monkeypatch.setattr(ports.jobs, "find", sleep_too_long)
    before = len(ports.jobs.batch.jobs)
    assert "Another run may deploy by now" in failure(lambda: move(ports)).message
    assert len(ports.jobs.batch.jobs) == before


def test_pointer_that_moved_since_the_plan_ends_the_move(ports: FakePorts) -> None:
    submit(ports)
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    promote(ports, NEW)
    assert failure(lambda: execute(plan, ports, RUN)).code == "pointer-moved"
    assert not ports.jobs.withdrawn
