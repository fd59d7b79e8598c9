"""Moving jobs that wait: which go, which stay, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.domain.job import JobState, Purpose
from lifecycle.domain.moved_jobs import moving_reason
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.workflows.jobs import show_job
from lifecycle.workflows.move_jobs import plan_move_jobs
from tests.fakes.batch_jobs import Attempt
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.unit.lifecycle.move_jobs_parts import PROJECT, cut_off, left_release, move, submit
from tests.unit.lifecycle.rollback_parts import NEW, OLD

UNTAGGED = (
    "it lacks the tag `capctl:project=vision`: give it that with `aws batch tag-resource`, "
    "and have it set by whoever submits such jobs"
)


@pytest.fixture
def ports() -> FakePorts:
    return left_release()


def test_job_is_submitted_as_it_was_and_names_the_one_whose_place_it_takes(ports: FakePorts) -> None:
    old_id = submit(ports)
    moved = move(ports)
    assert str(moved) == f"moved 1 job to release {OLD.id}"
    ((job, new_id),) = moved.pairs
    before, after = ports.jobs.batch.jobs[old_id].request, ports.jobs.batch.jobs[new_id].request
    assert job.id == old_id
    assert after == replace(
        before,
        queue_arn=deployed(OLD).job_queue_arn,
        definition_arn=deployed(OLD).job_definition_arn,
        tags={**before.tags, Tag.RELEASE: OLD.id, Tag.REPLACES: old_id},
    )
    cancelled = ports.jobs.get(old_id)
    assert (cancelled.state, cancelled.status_reason) == (JobState.FAILED, moving_reason(OLD.id))


def test_jobs_are_moved_in_the_order_in_which_they_came(ports: FakePorts) -> None:
    ids = [submit(ports, f"job-{number}") for number in range(120)]
    assert [job.id for job, _ in move(ports).pairs] == ids


def test_job_that_has_started_runs_where_it_is(ports: FakePorts) -> None:
    waiting = submit(ports)
    ports.jobs.course = (Attempt(waits_s=0, starts_s=0, runs_s=100),)
    running = submit(ports, "running")
    move(ports)
    assert (ports.jobs.get(waiting).state, ports.jobs.get(running).state) == (JobState.FAILED, JobState.RUNNING)
    assert running not in ports.jobs.withdrawn


def test_job_that_starts_at_the_last_moment_is_told_and_not_submitted_again(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports.jobs.course = (Attempt(waits_s=5, starts_s=0, runs_s=100),)
    job_id = submit(ports)
    withdraw = ports.jobs.withdraw

    def too_late(one: str, *, reason: str) -> None:
        ports.clock.sleep(10)
        withdraw(one, reason=reason)

    monkeypatch.setattr(ports.jobs, "withdraw", too_late)
    moved = move(ports)
    assert (moved.pairs, [job.id for job in moved.started]) == ((), [job_id])
    assert ports.jobs.get(job_id).state is JobState.RUNNING
    assert str(moved) == f"moved 0 jobs to release {OLD.id}; 1 job had started meanwhile"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"special": ("an array",)}, "it was submitted with settings of its own: an array"),
        ({"waits_for": ("job-9",)}, "it waits for other jobs, and Batch cancels it only when they have ended"),
        ({"purpose": Purpose.SMOKE}, "it is a smoke job, which proves that release"),
        ({"definition_arn": deployed(OLD).job_definition_arn}, "it has another job definition than the release's"),
        ({"tags": {"customer": "ada"}}, UNTAGGED),
        ({"tags": {Tag.PROJECT: "another"}}, UNTAGGED),
    ],
)
def test_what_cannot_be_moved_stays_and_is_told_with_the_reason(
    ports: FakePorts, fields: dict[str, Any], why: str
) -> None:
    of_batch = {name: value for name, value in fields.items() if name in {"special", "waits_for"}}
    job_id = submit(ports, "strange", **{name: fields[name] for name in fields.keys() - of_batch})
    for name, value in of_batch.items():
        setattr(ports.jobs.batch.jobs[job_id], name, value)
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert (plan.steps, plan.because) == ((), "no job waits on it that can be moved")
    assert plan.details == (f"{job_id} `strange` stays: {why}",)
    submit(ports)
    moved = move(ports)
    assert [(one.job.id, one.why) for one in moved.staying] == [(job_id, why)]
    assert len(moved.pairs) == 1
    assert ports.jobs.get(job_id).state.needs_host


def test_job_for_which_another_waits_is_not_cancelled(ports: FakePorts) -> None:
    first, second = submit(ports, "first"), submit(ports, "second")
    ports.jobs.batch.jobs[second].waits_for = (first,)
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert plan.details[0] == f"{first} `first` stays: job {second} waits for it, and would fail with it"
    assert not plan.steps


def test_jobs_of_the_active_release_stay(ports: FakePorts) -> None:
    plan = plan_move_jobs(ports, PROJECT, RUN, OLD.id)
    assert (plan.steps, plan.because) == ((), "it takes jobs itself")


def test_release_without_waiting_jobs_asks_for_nothing_to_be_done(ports: FakePorts) -> None:
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert (plan.steps, plan.details) == ((), ())


def test_long_list_of_jobs_is_cut(ports: FakePorts) -> None:
    for number in range(23):
        submit(ports, f"job-{number}")
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert plan.details[0] == "job-1 `job-0`: RUNNABLE"
    assert plan.details[-1] == "and 3 more"
    assert plan.because == f"release {OLD.id} takes jobs now, and 23 jobs of release {NEW.id} can go there"


def test_long_list_of_jobs_that_stay_is_cut(ports: FakePorts) -> None:
    for number in range(22):
        submit(ports, f"job-{number}", tags={})
    moving = submit(ports)
    plan = plan_move_jobs(ports, PROJECT, RUN, NEW.id)
    assert (len(plan.details), plan.details[0], plan.details[-1]) == (22, f"{moving} `job`: RUNNABLE", "and 2 more")
    moved = move(ports)
    assert str(moved).endswith(
        "; 22 jobs not moved: " + ", ".join([one.job.id for one in moved.staying[:20]]) + ", and 2 more"
    )


def test_release_that_does_not_exist_is_named(ports: FakePorts) -> None:
    with pytest.raises(CapctlError, match="0123456789ab"):
        plan_move_jobs(ports, PROJECT, RUN, "0123456789ab")


def test_moved_job_tells_where_it_went_and_the_new_one_whose_place_it_has(ports: FakePorts) -> None:
    old_id = submit(ports)
    ((_, new_id),) = move(ports).pairs
    view = show_job(ports, old_id)
    assert (view.release_id, view.moved and view.moved.job_id) == (NEW.id, new_id)
    assert view.account.why == f"it was moved to release {OLD.id}"
    assert f"`capctl job show {new_id}`" in view.account.next
    assert show_job(ports, new_id).job.replaces == old_id


def test_job_whose_move_was_cut_off_tells_how_it_is_finished(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> None:
    view = show_job(ports, cut_off(ports, monkeypatch))
    assert view.moved
    assert view.moved.job_id == ""
    assert f"`capctl job move {NEW.id}`" in view.account.next


def test_a_move_of_a_hundred_jobs_looks_at_them_together(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(101):
        submit(ports, f"job-{number}")
    looks: list[int] = []
    find = ports.jobs.find

    def look(job_ids: Any) -> Any:
        looks.append(len(job_ids))
        return find(job_ids)

    monkeypatch.setattr(ports.jobs, "find", look)
    move(ports)
    assert looks == [1, 50, 50]
