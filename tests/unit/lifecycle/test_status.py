"""Status: releases, their roles and their queues."""

from dataclasses import replace

import pytest

from lifecycle.domain.job import JobState, QueueState
from lifecycle.domain.job_counts import JobCounts
from lifecycle.domain.release import DeployedRelease
from lifecycle.errors import Denied
from lifecycle.ports.jobs import JobRequest
from lifecycle.workflows.lookups import active_pointer
from lifecycle.workflows.status import read_status
from tests.fakes.ports import FakePorts
from tests.fakes.stack import FakeStack, deployed
from tests.unit.lifecycle.rollback_parts import NEW, OLD, numbered, promote, rollback, two_promoted


@pytest.fixture
def ports() -> FakePorts:
    return two_promoted()


def test_status_shows_roles_and_queues(ports: FakePorts) -> None:
    environment = deployed(NEW).compute_environment_arn
    ports.compute.changed[environment] = {"state": QueueState.INVALID, "reason": "AMI cannot be described"}
    status = read_status(ports)
    assert [(r.deployed.id, r.role, r.state, r.reason, r.takes_jobs) for r in status.releases] == [
        (OLD.id, "previous", "VALID", "", True),
        (NEW.id, "active", "INVALID", "AMI cannot be described", False),
    ]


def test_jobs_are_counted_by_release(ports: FakePorts) -> None:
    for course in (("SUCCEEDED",), ("FAILED",), ("RUNNABLE",), ("STARTING",), ("RUNNING",)):
        ports.jobs.course = tuple(map(JobState, course))
        ports.jobs.get(submit(ports, deployed(NEW)))
    submit(ports, deployed(OLD))
    assert [release.jobs for release in read_status(ports).releases] == [
        JobCounts(waiting=1),
        JobCounts(waiting=1, running=2, succeeded=1, failed=1),
    ]


def test_jobs_of_another_revision_are_not_the_releases(ports: FakePorts) -> None:
    submit(
        ports, replace(deployed(NEW), job_definition_arn=ports.jobs.batch.register_definition(f"vision-{NEW.id}", NEW))
    )
    assert [release.jobs for release in read_status(ports).releases] == [JobCounts(), JobCounts()]


def test_image_has_a_tag_of_its_own_where_the_repository_tells_one(ports: FakePorts) -> None:
    ports.repository_images.add("1", f"rel-{OLD.id}-20260101", "code-0123456789ab")
    ports.repository_images.add("2", f"rel-{NEW.id}-20260101")
    assert [each.image_tag for each in read_status(ports).releases] == ["code-0123456789ab", ""]


def test_status_without_a_repository_has_no_tags(ports: FakePorts, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise Denied("permission-denied", "AWS refused")

    monkeypatch.setattr(ports.repository_images, "list", refuse)
    assert [release.image_tag for release in read_status(ports).releases] == ["", ""]


@pytest.mark.parametrize("port", ["pointers.read", "compute.queues", "jobs.count"])
def test_anything_else_that_cannot_be_read_is_an_error(
    ports: FakePorts, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    def refuse(*_: object) -> None:
        raise Denied("permission-denied", "AWS refused")

    name, _, method = port.partition(".")
    monkeypatch.setattr(getattr(ports, name), method, refuse)
    with pytest.raises(Denied):
        read_status(ports)


def test_release_that_was_made_and_never_promoted_is_a_candidate(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", "candidate"]


def test_release_that_was_promoted_is_no_candidate_after_any_number_of_rollbacks(ports: FakePorts) -> None:
    third = numbered(3)
    ports.stack.add_release(third)
    promote(ports, third)
    for to in (NEW, OLD):
        rollback(ports, to=to)
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", ""]


def test_no_release_is_a_candidate_where_the_pointer_does_not_say_which_were_promoted(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    ports.pointers.move(replace(active_pointer(ports), version=3, promoted=()), expected_version=2)
    assert [release.role for release in read_status(ports).releases] == ["previous", "active", ""]
    rollback(ports)
    ports.stack.add_release(numbered(4))
    assert [release.role for release in read_status(ports).releases] == ["active", "previous", "", "candidate"]


def test_release_that_is_older_than_those_of_the_pointer_has_no_role(ports: FakePorts) -> None:
    ports.stack.add_release(numbered(3))
    promote(ports, numbered(3))
    assert [release.role for release in read_status(ports).releases] == ["", "previous", "active"]


def test_status_before_the_first_deploy_is_empty() -> None:
    stack = FakeStack()
    status = read_status(FakePorts(stack=stack))
    assert (status.pointer, status.releases, status.journal) == (None, (), ())


def test_queue_that_is_gone_is_a_state(ports: FakePorts) -> None:
    ports.compute.gone = {deployed(OLD).job_queue_arn}
    old, new = read_status(ports).releases
    assert (old.state, old.reason, old.jobs) == ("MISSING", "the release has no job queue in Batch", None)
    assert (new.state, new.takes_jobs, new.jobs) == ("VALID", True, JobCounts())


def test_environment_that_is_gone_is_a_state(ports: FakePorts) -> None:
    ports.compute.gone = {deployed(OLD).compute_environment_arn}
    old, _ = read_status(ports).releases
    assert (old.state, old.reason) == ("MISSING", "the release has no compute environment in Batch")


@pytest.mark.parametrize("part", ["job_queue_arn", "compute_environment_arn"])
def test_disabled_release_takes_no_jobs(ports: FakePorts, part: str) -> None:
    ports.compute.changed[getattr(deployed(NEW), part)] = {"is_enabled": False}
    assert [(release.is_disabled, release.takes_jobs) for release in read_status(ports).releases] == [
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize(("state", "takes_jobs"), [("UPDATING", True), ("CREATING", False), ("DELETING", False)])
def test_release_takes_jobs_while_its_environment_is_updated(ports: FakePorts, state: str, takes_jobs: bool) -> None:
    ports.compute.changed[deployed(NEW).compute_environment_arn] = {"state": QueueState(state)}
    new = read_status(ports).releases[1]
    assert (new.state, new.is_disabled, new.takes_jobs) == (state, False, takes_jobs)


def submit(ports: FakePorts, release: DeployedRelease) -> str:
    return ports.jobs.submit(
        JobRequest(
            name="job",
            queue_arn=release.job_queue_arn,
            definition_arn=release.job_definition_arn,
            environment={},
            tags={},
        )
    )
